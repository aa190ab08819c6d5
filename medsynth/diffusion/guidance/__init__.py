"""Conditions: what a sample shall fulfill, as objects put into the loop."""

from typing import Any

from torch import Tensor

from medsynth.diffusion.guidance.base import Condition
from medsynth.diffusion.guidance.composition import COMPOSITIONS
from medsynth.diffusion.guidance.ilvr import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.known_region import KnownRegion
from medsynth.diffusion.guidance.low_pass import LowPass
from medsynth.diffusion.guidance.reference_guidance import ReferenceGuidance
from medsynth.diffusion.guidance.weight_maps import feathered, spherical_gaussian
from medsynth.domains.methods import CONDITIONS

__all__ = [
    "COMPOSITIONS",
    "Condition",
    "KnownRegion",
    "LowFrequency",
    "LowFrequencyGuidance",
    "LowPass",
    "ReferenceGuidance",
    "feathered",
    "named_condition",
    "spherical_gaussian",
]


def named_condition(kind: str, reference: Tensor, **options: Any) -> Condition:
    """The condition called `kind` for a reference (B, 1, H, W) in [-1, 1].

    Raises:
        ValueError: no such condition.
    """
    if kind not in CONDITIONS:
        raise ValueError(f"unknown condition {kind!r}, expected one of {', '.join(CONDITIONS)}")
    condition: Condition = CONDITIONS[kind].load().make(reference, **options)
    return condition
