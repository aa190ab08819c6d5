"""One file per domain, found by itself: each declares its `PRESET`; `get` finds one by name."""

from __future__ import annotations

from medsynth.domains.base import IntensityMap, NoisyTissue, OrganFinder, Preset, Tissue, Window
from medsynth.registry import Imported

__all__ = [
    "PRESETS",
    "IntensityMap",
    "NoisyTissue",
    "OrganFinder",
    "Preset",
    "Tissue",
    "Window",
    "get",
    "of_kind",
]

PRESETS: Imported[Preset] = Imported(__name__, "PRESET", what="preset")
discover = PRESETS.discover


def get(name: str) -> Preset:
    """The domain called `name`.

    Raises:
        ValueError: no such domain; the message lists those there are and the nearest match.
    """
    return PRESETS.named(name)


def of_kind(kind: str) -> Preset:
    """The first domain that lists the lesion kind `kind`.

    Raises:
        ValueError: none does.
    """
    for preset in PRESETS.values():
        if kind in preset.lesion_kinds:
            return preset
    raise ValueError(f"no domain lists the lesion kind {kind!r} in its lesion_kinds")


discover()
