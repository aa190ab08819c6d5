"""One file per domain, found by itself: each declares its `PRESET`; `get` finds one by name."""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module

from medsynth.domains.base import IntensityMap, NoisyTissue, OrganFinder, Preset, Tissue, Window

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
    found: dict[str, Preset] = {}
    for module in pkgutil.iter_modules(__path__):
        preset = getattr(import_module(f"{__name__}.{module.name}"), "PRESET", None)
        if preset is None:
            continue
        if preset.name in found:
            raise ValueError(f"two files declare the domain {preset.name!r}")
        found[preset.name] = preset
    PRESETS.clear()
    PRESETS.update(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


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
