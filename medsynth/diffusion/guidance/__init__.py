"""Conditions: what a sample shall fulfill, as objects put into the loop."""

from medsynth.diffusion.guidance.base import Condition
from medsynth.diffusion.guidance.composition import COMPOSITIONS
from medsynth.diffusion.guidance.ilvr import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.known_region import KnownRegion
from medsynth.diffusion.guidance.low_pass import LowPass
from medsynth.diffusion.guidance.reference_guidance import ReferenceGuidance
from medsynth.diffusion.guidance.weight_maps import feathered, spherical_gaussian

__all__ = [
    "COMPOSITIONS",
    "Condition",
    "KnownRegion",
    "LowFrequency",
    "LowFrequencyGuidance",
    "LowPass",
    "ReferenceGuidance",
    "feathered",
    "spherical_gaussian",
]
