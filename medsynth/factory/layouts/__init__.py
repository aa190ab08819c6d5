"""How data sets are laid out for others: one file each, found by itself, each declares its `LAYOUT`."""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module

from medsynth.factory.layouts.base import Layout, LayoutContext

__all__ = ["LAYOUTS", "Layout", "LayoutContext", "get"]

LAYOUTS: dict[str, Layout] = {}


def discover() -> None:
    """Read the files of this folder into `LAYOUTS`.

    Raises:
        ValueError: two files declare one name.
    """
    found: dict[str, Layout] = {}
    for module in pkgutil.iter_modules(__path__):
        layout = getattr(import_module(f"{__name__}.{module.name}"), "LAYOUT", None)
        if layout is None:
            continue
        if layout.name in found:
            raise ValueError(f"two files declare the layout {layout.name!r}")
        found[layout.name] = layout
    LAYOUTS.clear()
    LAYOUTS.update(sorted(found.items()))


def get(name: str) -> Layout:
    """The layout called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name in LAYOUTS:
        return LAYOUTS[name]
    near = difflib.get_close_matches(str(name), LAYOUTS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown layout {name!r}, expected one of {', '.join(LAYOUTS)}{hint}")


discover()
