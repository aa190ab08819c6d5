"""Where a slice lies in the patient: the image's grid as DICOM attributes, and checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from medsynth.errors import GeometryError

# Direction cosines read from NIfTI quaternions or DS strings are exact to about 1e-6.
ORTHOGONAL_WITHIN = 1e-4


def ds(values: npt.ArrayLike) -> list[DSfloat]:
    """Decimal strings of at most 16 characters (PS3.5 6.2), the nearest there are."""
    return [DSfloat(float(value), auto_format=True) for value in np.ravel(values)]


def check_grid(image: sitk.Image) -> None:
    """Refuse what slices of a DICOM series cannot represent.

    Raises:
        ValueError: the image is not a three-dimensional scalar image.
        GeometryError: its axes are not at right angles, e.g. a sheared NIfTI or a tilted gantry.
    """
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(
            f"expected a 3-D scalar image, got {image.GetDimension()}-D with "
            f"{image.GetNumberOfComponentsPerPixel()} components"
        )
    direction = np.reshape(image.GetDirection(), (3, 3))
    error = np.abs(direction.T @ direction - np.eye(3)).max()
    if error > ORTHOGONAL_WITHIN:
        raise GeometryError(
            f"the image's axes are not at right angles (off by {error:.2g}); resample it onto an "
            "orthogonal grid first"
        )


def slice_position(image: sitk.Image, k: int) -> tuple[float, ...]:
    """Center of the first voxel of slice `k`, LPS mm."""
    return image.TransformIndexToPhysicalPoint((0, 0, k))


def write_plane(dataset: Dataset, image: sitk.Image, *, k: int) -> None:
    """The Image Plane module (PS3.3 C.7.6.2) of slice `k`."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    row_axis, column_axis = direction[:, 0], direction[:, 1]
    position = slice_position(image, k)
    spacing_x, spacing_y, spacing_z = image.GetSpacing()
    dataset.ImagePositionPatient = ds(position)
    dataset.ImageOrientationPatient = ds([row_axis, column_axis])
    dataset.PixelSpacing = ds([spacing_y, spacing_x])  # PS3.3 10.7.1.3: between rows comes first
    dataset.SliceLocation = ds(np.dot(position, np.cross(row_axis, column_axis)))[0]
    if dataset.get("SliceThickness") in (None, ""):
        dataset.SliceThickness = ds(spacing_z)[0]
    if image.GetDepth() > 1:
        dataset.SpacingBetweenSlices = ds(spacing_z)[0]
    else:
        dataset.pop("SpacingBetweenSlices", None)


def same_plane(dataset: Dataset, image: sitk.Image, *, k: int, within_mm: float = 1e-2) -> bool:
    """Whether slice `k` of `image` lies where `dataset` says, corner by corner, in mm."""
    columns, rows, _ = image.GetSize()
    corners = [(0, 0, k), (columns - 1, 0, k), (0, rows - 1, k)]
    theirs = np.array([image.TransformIndexToPhysicalPoint(corner) for corner in corners])
    position = np.array(dataset.ImagePositionPatient, float)
    row_axis, column_axis = np.reshape(np.array(dataset.ImageOrientationPatient, float), (2, 3))
    between_rows, between_columns = (float(value) for value in dataset.PixelSpacing)
    ours = position + np.array(
        [
            np.zeros(3),
            row_axis * between_columns * (dataset.Columns - 1),
            column_axis * between_rows * (dataset.Rows - 1),
        ]
    )
    return bool(np.abs(ours - theirs).max() <= within_mm)
