"""One file per domain; `get` finds a preset by name."""

from __future__ import annotations

import difflib

from medsynth.domains.base import IntensityMap, NoisyTissue, Preset, Window
from medsynth.domains.brain_ct import PRESET as BRAIN_CT
from medsynth.domains.brain_mri import PRESET as BRAIN_MRI
from medsynth.domains.chest_xray import PRESET as CHEST_XRAY
from medsynth.domains.lung_ct import PRESET as LUNG_CT
from medsynth.domains.mammography import PRESET as MAMMOGRAPHY

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (LUNG_CT, MAMMOGRAPHY, CHEST_XRAY, BRAIN_MRI, BRAIN_CT)
}

__all__ = ["PRESETS", "IntensityMap", "NoisyTissue", "Preset", "Window", "get"]


def get(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        ValueError: no such preset; the message lists those there are and the nearest match.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(str(name), PRESETS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown preset {name!r}, expected one of {', '.join(PRESETS)}{hint}")
