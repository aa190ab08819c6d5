"""Images at the border: SimpleITK images in LPS mm and physical units, read from anything.

The names below are loaded when they are first used: Slicer's panel reads `low_pass_preview` from this
package in its own process, and must not load readers of image files for it.
"""

from __future__ import annotations

from typing import Any

from medsynth import lazy

_MODULES = {
    ".dicom.pixels": ("is_mirrored", "modality_transform", "stored_range"),
    ".display": ("Shown", "to_display_units"),
    ".files": ("write_image",),
    ".grids": (
        *("check_same_geometry", "fraction_outside", "mm_to_voxel", "voxel_to_mm"),
        *("resample_image", "resample_mask"),
    ),
    ".labels": ("Label", "read_labels"),
    ".masks": ("on_image", "read_mask", "read_mask_of"),
    ".preprocessing": ("fit_to_grid",),
    ".read": ("read_image",),
    ".reference": ("ReferenceImage",),
}

__all__ = [name for names in _MODULES.values() for name in names]


def __getattr__(name: str) -> Any:
    return lazy.named(__name__, _MODULES, name)
