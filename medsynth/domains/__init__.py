"""One file per domain, found by itself: each declares its `PRESET`; `get` finds one by name."""

from __future__ import annotations

from medsynth.domains.base import IntensityMap, NoisyTissue, OrganFinder, Preset, Tissue, Window
from medsynth.registry import imported, named

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

PRESETS: dict[str, Preset] = {}


def discover() -> None:
    """Read the domains' files of this folder into `PRESETS`, by `rank` and name.

    Raises:
        ValueError: two files declare one name.
    """
    found = imported(__name__, "PRESET", what="domain")
    PRESETS.clear()
    PRESETS.update(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


def get(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        ValueError: no such preset; the message lists those there are and the nearest match.
    """
    return named(PRESETS, name, what="preset")


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
