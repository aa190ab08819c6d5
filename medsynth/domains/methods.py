"""Samplers, filters, compositions and exporters by name: what a request may ask for, and where each is.

A declaration: nothing here imports torch. The request's parser, `--help`, the docs and Slicer's lists
read the names and titles; `medsynth.diffusion` loads `target` when it is asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from medsynth.registry import Registry


@dataclass(frozen=True)
class Method:
    """A `title` for people, and where the object is: `module:name`."""

    title: str
    target: str

    def load(self) -> Any:
        """The object itself."""
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module), name)


EXPORTERS = Registry("medsynth.pipeline.exporters", "EXPORTER")
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


def usual_exporters() -> tuple[str, ...]:
    """Those of a request that names none."""
    return tuple(name for name, entry in EXPORTERS.items() if entry.facts.get("default"))


def exported_files() -> tuple[str, ...]:
    """Patterns of the names that exporters leave in OUT."""
    return tuple(file for entry in EXPORTERS.values() for file in entry.facts["files"])
