"""Conditions: what a sample shall fulfil, as objects put into the loop."""

from medsynth.conditions.base import Condition
from medsynth.conditions.composition import COMPOSITIONS
from medsynth.conditions.known_region import KnownRegion
from medsynth.conditions.low_frequency import LowFrequency, LowFrequencyGuidance
from medsynth.conditions.low_pass import LowPass
from medsynth.conditions.weights import feathered, spherical_gaussian

__all__ = [
    "COMPOSITIONS",
    "Condition",
    "KnownRegion",
    "LowFrequency",
    "LowFrequencyGuidance",
    "LowPass",
    "feathered",
    "spherical_gaussian",
]
