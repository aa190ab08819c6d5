"""How data sets are laid out for others: one file each, found by itself, each declares its `LAYOUT`.

Their names are there without importing one; SimpleITK and pydicom come with the first that is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsynth.registry import Registry, unknown

if TYPE_CHECKING:
    from medsynth.factory.layouts.base import Layout

__all__ = ["LAYOUTS", "get"]

LAYOUTS = Registry("medsynth.factory.layouts", "LAYOUT")


def get(name: str) -> Layout:
    """The layout called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name in LAYOUTS:
        layout: Layout = LAYOUTS[name].load()
        return layout
    raise unknown("layout", name, LAYOUTS)
