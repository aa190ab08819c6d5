"""Lesion sources: drawn, or taken from an annotated study; each gives an image and its mask.

The names below are loaded when they are first used, so that the declarations in `kinds` can be read
without the drawers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medsynth.domains.lesion_kinds import KINDS, LesionKind
    from medsynth.lesions.body import body_mask
    from medsynth.lesions.drawn import procedural
    from medsynth.lesions.lesion import Lesion, mask_diameter_mm
    from medsynth.lesions.patch import Steps, from_projection
    from medsynth.lesions.transplant import from_study

_MODULES = {
    "KINDS": "medsynth.domains.lesion_kinds",
    "Lesion": "medsynth.lesions.lesion",
    "LesionKind": "medsynth.domains.lesion_kinds",
    "Steps": "medsynth.lesions.patch",
    "body_mask": "medsynth.lesions.body",
    "from_projection": "medsynth.lesions.patch",
    "from_study": "medsynth.lesions.transplant",
    "mask_diameter_mm": "medsynth.lesions.lesion",
    "procedural": "medsynth.lesions.drawn",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


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
