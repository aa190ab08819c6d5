"""Samplers by name: each one file, each declaring its order, network calls and memory."""

from __future__ import annotations

from typing import cast

from medsynth.diffusion.samplers.base import Sampler, StepInputs
from medsynth.domains.methods import SAMPLERS

__all__ = ["SAMPLERS", "Sampler", "StepInputs", "build"]


def build(name: str, **options: object) -> Sampler:
    """The sampler called `name`; `options` are that sampler's own fields.

    Raises:
        ValueError: no such sampler.
    """
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}, expected one of {', '.join(SAMPLERS)}")
    return cast(Sampler, SAMPLERS[name].load().make(**options))
