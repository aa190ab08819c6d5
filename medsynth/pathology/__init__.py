"""Lesion sources: drawn, or taken from an annotated study; each gives an image and its mask."""

from medsynth.pathology.body import body_mask
from medsynth.pathology.kinds import Kind
from medsynth.pathology.lesion import Lesion, mask_diameter_mm
from medsynth.pathology.patch import Steps, from_film
from medsynth.pathology.procedural import procedural
from medsynth.pathology.registry import KINDS
from medsynth.pathology.transplant import from_study

__all__ = [
    "KINDS",
    "Kind",
    "Lesion",
    "Steps",
    "body_mask",
    "from_film",
    "from_study",
    "mask_diameter_mm",
    "procedural",
]
