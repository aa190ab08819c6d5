"""Samplers by name: each one file, each declaring its order of convergence."""

from __future__ import annotations

from medsynth.diffusion.samplers.base import Sampler
from medsynth.diffusion.samplers.ddim import DDIM
from medsynth.diffusion.samplers.ddpm import DDPM
from medsynth.diffusion.samplers.dpmpp_2m import DPMpp2M
from medsynth.diffusion.samplers.dpmpp_2m_sde import DPMpp2MSDE

SAMPLERS = {"dpmpp_2m": DPMpp2M, "dpmpp_2m_sde": DPMpp2MSDE, "ddim": DDIM, "ddpm": DDPM}

__all__ = ["DDIM", "DDPM", "SAMPLERS", "DPMpp2M", "DPMpp2MSDE", "Sampler", "build"]


def build(name: str, **options: object) -> Sampler:
    """The sampler called `name`; `options` are that sampler's own fields.

    Raises:
        ValueError: no such sampler.
    """
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}, expected one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name](**options)
