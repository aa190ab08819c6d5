"""Images that a Python program holds already: SimpleITK images and NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.images.reference import ReferenceImage

SOURCE = "the image in memory"


def from_memory(value: Any) -> ReferenceImage:
    """A SimpleITK image as it lies, or an array (j, i) or (k, j, i) with voxels of 1 mm.

    Raises:
        ValueError: not a scalar image of two or three axes, or values that are not finite.
    """
    notes: tuple[str, ...] = ()
    if not isinstance(value, sitk.Image):
        array = np.asarray(value)
        if array.dtype == bool:
            array = array.astype(np.uint8)
        if array.ndim not in (2, 3) or array.dtype.kind not in "iuf":
            raise ValueError(
                f"expected an array (j, i) or (k, j, i) of numbers, got shape {array.shape} of "
                f"{array.dtype}"
            )
        value = sitk.GetImageFromArray(array.astype(np.float32))
        notes = (f"{SOURCE} is an array without spacing; 1 mm at the origin is assumed",)
    is_2d = value.GetDimension() == 2
    if is_2d:
        value = sitk.JoinSeries(value)
    if value.GetDimension() != 3 or value.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"expected a scalar image of two or three axes, got {value.GetDimension()} axes and "
            f"{value.GetNumberOfComponentsPerPixel()} values per voxel"
        )
    image = sitk.Cast(value, sitk.sitkFloat32)
    for key in image.GetMetaDataKeys():  # whatever another reader left there
        image.EraseMetaData(key)
    if not np.isfinite(sitk.GetArrayViewFromImage(image)).all():
        raise ValueError(f"{SOURCE} holds values that are NaN or infinite; replace them")
    return ReferenceImage(image, source=SOURCE, warnings=notes, is_2d=is_2d)
