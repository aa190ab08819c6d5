"""Images at the border: SimpleITK images in LPS mm and physical units, read from anything.

The names below are loaded when they are first used: Slicer's panel reads `low_pass_preview` from this
package in its own process, and must not load readers of image files for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "is_mirrored": "dicom.pixels",
    "modality_transform": "dicom.pixels",
    "stored_range": "dicom.pixels",
    "Shown": "display",
    "to_display_units": "display",
    "write_image": "files",
    "check_same_geometry": "grids",
    "fraction_outside": "grids",
    "mm_to_voxel": "grids",
    "resample_image": "grids",
    "resample_mask": "grids",
    "voxel_to_mm": "grids",
    "Label": "labels",
    "read_labels": "labels",
    "on_image": "masks",
    "read_mask": "masks",
    "read_mask_of": "masks",
    "fit_to_grid": "preprocessing",
    "read_image": "read",
    "ReferenceImage": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


__all__ = [
    "Label",
    "ReferenceImage",
    "Shown",
    "check_same_geometry",
    "fit_to_grid",
    "fraction_outside",
    "is_mirrored",
    "mm_to_voxel",
    "modality_transform",
    "on_image",
    "read_image",
    "read_labels",
    "read_mask",
    "read_mask_of",
    "resample_image",
    "resample_mask",
    "stored_range",
    "to_display_units",
    "voxel_to_mm",
    "write_image",
]
