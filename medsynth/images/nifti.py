"""NIfTI to SimpleITK: its affine is RAS, ours is LPS."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.images.damage import naming
from medsynth.images.file_limits import check_nifti
from medsynth.images.files import check_finite
from medsynth.images.reference import ReferenceImage

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


def read_nifti(path: Path) -> ReferenceImage:
    """The volume in scaled values (scl_slope, scl_inter), on the grid of its sform or qform.

    Raises:
        ValueError: Damaged, color or complex, 4-D, or with NaN or infinite values.
        GeometryError: The affine shears the grid.
    """
    with naming(path, otherwise="cannot be read; it may be damaged"):
        file = open_nifti(path)
        kind, shape = file.header.get_data_dtype(), file.shape
        if kind.kind not in "iuf":
            raise ValueError(f"{path} is not a gray image (data type {kind}); convert it")
        if any(n != 1 for n in shape[3:]):
            raise ValueError(
                f"{path} has {len(shape)} dimensions {shape}; save one time point as a 3-D image"
            )
        voxels = np.asarray(file.dataobj, dtype=np.float32)
        unit = MM_PER_UNIT[file.header.get_xyzt_units()[0]]
    voxels = voxels.reshape((*shape, 1, 1, 1)[:3])
    check_finite(voxels.T, path)
    image = sitk.GetImageFromArray(voxels.T)
    notes = _place(image, file, unit, path)
    is_2d = len(shape) == 2
    if is_2d:
        notes.append(f"{path} is two-dimensional; it became one slice")
    return ReferenceImage(image=image, source=str(path), warnings=tuple(notes), is_2d=is_2d)


def open_nifti(path: Path) -> nibabel.Nifti1Image:
    """The file, whose voxels are not read yet (NIfTI-2 is a kind of it).

    Raises:
        ValueError: it is none, or its header promises more than we read.
    """
    check_nifti(path)
    file = nibabel.load(path)
    if not isinstance(file, nibabel.Nifti1Image):
        raise ValueError(f"{path} is not NIfTI but {type(file).__name__}; convert it")
    return file


def _place(
    image: sitk.Image, file: nibabel.Nifti1Image, mm_per_unit: float, path: Path
) -> list[str]:
    """Give `image` the origin, spacing and direction of the file's affine, in LPS mm."""
    header = file.header
    affine = RAS_TO_LPS @ file.affine[:3] * mm_per_unit
    axes = affine[:, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not np.isfinite(affine).all() or (spacing == 0).any():
        raise GeometryError(
            f"{path} has no usable orientation: its affine is {file.affine.tolist()}"
        )
    axes = axes / spacing
    # the nearest orthogonal axes; sform is float32, so a little shear is rounding
    u, _, v = np.linalg.svd(axes)
    shear = np.abs(u @ v - axes).max()
    if shear > 2e-3:
        raise GeometryError(
            f"{path}: the axes are sheared by {shear:.4f} (not at right angles); resample it to an "
            "orthogonal grid first"
        )
    image.SetOrigin(affine[:, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((u @ v).ravel().tolist())
    if header["sform_code"] == 0 and header["qform_code"] == 0:
        return [f"{path} does not say how it lies in the patient (sform and qform codes are 0)"]
    return []
