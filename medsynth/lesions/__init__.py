"""Lesion sources: drawn, or taken from an annotated study; each gives an image and its mask.

The names below are loaded when they are first used, so that the declarations in `kinds` can be read
without the drawers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth import lazy

if TYPE_CHECKING:
    from medsynth.domains.lesion_kinds import KINDS, LesionKind
    from medsynth.lesions.body import body_mask
    from medsynth.lesions.drawn import procedural
    from medsynth.lesions.lesion import Lesion, mask_diameter_mm
    from medsynth.lesions.patch import Steps, from_projection
    from medsynth.lesions.transplant import from_study

_MODULES = {
    "medsynth.domains.lesion_kinds": ("KINDS", "LesionKind"),
    ".body": ("body_mask",),
    ".drawn": ("procedural",),
    ".lesion": ("Lesion", "mask_diameter_mm"),
    ".patch": ("Steps", "from_projection"),
    ".transplant": ("from_study",),
}

__all__ = [
    "KINDS",
    "Lesion",
    "LesionKind",
    "Steps",
    "body_mask",
    "from_projection",
    "from_study",
    "mask_diameter_mm",
    "procedural",
]


def __getattr__(name: str) -> Any:
    return lazy.named(__name__, _MODULES, name)
