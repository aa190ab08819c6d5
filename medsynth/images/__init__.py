"""Images at the border: SimpleITK images in LPS mm and physical units, read from anything."""

from medsynth.images.dicom.pixels import is_mirrored, modality_transform, stored_range
from medsynth.images.display import Shown, to_grey
from medsynth.images.files import write_image
from medsynth.images.grids import (
    check_same_geometry,
    fraction_outside,
    mm_to_voxel,
    resample_image,
    resample_mask,
    voxel_to_mm,
)
from medsynth.images.labels import Label, read_labels
from medsynth.images.masks import on_image, read_mask, read_mask_of
from medsynth.images.preprocessing import fit_to_grid
from medsynth.images.read import read_image
from medsynth.images.reference import ReferenceImage

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
    "to_grey",
    "voxel_to_mm",
    "write_image",
]
