"""Lesion sources: drawn, or taken from an annotated study; each gives an image and its mask."""

from medsynth.lesions.body import body_mask
from medsynth.lesions.kinds.lung import Kind
from medsynth.lesions.lesion import Lesion, mask_diameter_mm
from medsynth.lesions.patch import Steps, from_projection
from medsynth.lesions.procedural import procedural
from medsynth.lesions.registry import KINDS
from medsynth.lesions.transplant import from_study

__all__ = [
    "KINDS",
    "Kind",
    "Lesion",
    "Steps",
    "body_mask",
    "from_projection",
    "from_study",
    "mask_diameter_mm",
    "procedural",
]
