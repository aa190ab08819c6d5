"""Samplers, filters and compositions by name: what a request may ask for, and where each one is.

A declaration: nothing here imports torch. The request's parser, `--help`, the docs and Slicer's lists
read the names and titles; `medsynth.diffusion` loads `target` when it is asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """A `title` for people, and where the object is: `module:name`."""

    title: str
    target: str

    def load(self) -> Any:
        """The object itself."""
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module), name)


_SAMPLERS = "medsynth.diffusion.samplers."
_GUIDANCE = "medsynth.diffusion.guidance."

SAMPLERS = {
    "dpmpp_2m": Method("DPM-Solver++ 2M, deterministic", _SAMPLERS + "dpmpp_2m:DPMpp2M"),
    "dpmpp_2m_sde": Method(
        "SDE-DPM-Solver++ 2M, most natural texture", _SAMPLERS + "dpmpp_2m_sde:DPMpp2MSDE"
    ),
    "ddim": Method("DDIM, deterministic", _SAMPLERS + "ddim:DDIM"),
    "ddpm": Method("DDPM, ancestral, wants hundreds of steps", _SAMPLERS + "ddpm:DDPM"),
    "heun": Method("Heun, deterministic, two network calls a step", _SAMPLERS + "heun:Heun"),
    "dpmpp_3m_sde": Method(
        "SDE-DPM-Solver++ 3M, stochastic, three estimates", _SAMPLERS + "dpmpp_3m_sde:DPMpp3MSDE"
    ),
}
COMPOSITIONS = {
    "nested": Method("Nested bands, stable", _GUIDANCE + "nested:nested"),
    "sum": Method("Sum, equation 4 of the paper", _GUIDANCE + "composition:literal_sum"),
    "weighted": Method("Weighted mean", _GUIDANCE + "composition:weighted"),
}
FILTERS = {
    "dct": Method("DCT, lowest frequencies", _GUIDANCE + "low_pass:dct"),
    "block": Method("Means of blocks", _GUIDANCE + "low_pass:block"),
    "bicubic": Method("Bicubic, as in ILVR", _GUIDANCE + "low_pass:bicubic"),
}
