"""Images as other libraries hold them: `itk` and MONAI's MetaTensor, to and from SimpleITK.

SimpleITK and ITK are LPS with arrays (k, j, i); a MetaTensor is RAS with arrays (channel, i, j, k).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

KINDS = ("SimpleITK", "itk", "numpy", "monai")
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def kind_of(image: Any) -> str:
    """Which of `KINDS` an image is; SimpleITK for whatever is none, such as a path."""
    module = type(image).__module__
    if module.startswith("itk."):
        return "itk"
    if module.startswith("monai."):
        return "monai"
    return "numpy" if isinstance(image, np.ndarray) else "SimpleITK"


def to_sitk(image: Any, *, spacing_mm: tuple[float, float, float] | None = None) -> Any:
    """An `itk` image or MetaTensor as a SimpleITK image; anything else as it is.

    `spacing_mm` (x, y, z) is that of NumPy volumes (k, j, i), which have none of their own.
    """
    if spacing_mm is not None and isinstance(image, np.ndarray) and image.ndim == 3:
        made = sitk.GetImageFromArray(image)
        made.SetSpacing(spacing_mm)
        return made
    kind = kind_of(image)
    if kind == "itk":
        return _from_itk(image)
    return _from_monai(image) if kind == "monai" else image


def from_sitk(image: sitk.Image, kind: str) -> Any:
    """A SimpleITK volume as one of `KINDS`."""
    if kind == "itk":
        return _to_itk(image)
    if kind == "monai":
        return _to_monai(image)
    return sitk.GetArrayFromImage(image) if kind == "numpy" else image


def _from_itk(image: Any) -> sitk.Image:
    import itk

    made = sitk.GetImageFromArray(itk.array_from_image(image))
    made.SetSpacing([float(s) for s in image.GetSpacing()])
    made.SetOrigin([float(s) for s in image.GetOrigin()])
    made.SetDirection(itk.array_from_matrix(image.GetDirection()).ravel().tolist())
    return made


def _to_itk(image: sitk.Image) -> Any:
    import itk

    made = itk.image_from_array(sitk.GetArrayFromImage(image))
    made.SetSpacing(image.GetSpacing())
    made.SetOrigin(image.GetOrigin())
    side = image.GetDimension()
    made.SetDirection(np.reshape(image.GetDirection(), (side, side)))
    return made


def _from_monai(image: Any) -> sitk.Image:
    values, affine = np.asarray(image.cpu()), TO_RAS @ np.asarray(image.affine, dtype=np.float64)
    if values.ndim != 4 or len(values) != 1:
        raise ValueError(
            f"a MetaTensor must be (1, i, j, k), one channel and a volume, got {values.shape}"
        )
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    made = sitk.GetImageFromArray(np.ascontiguousarray(values[0].transpose(2, 1, 0)))
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(affine[:3, 3].tolist())
    made.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return made


def _to_monai(image: sitk.Image) -> Any:
    import torch
    from monai.data import MetaTensor

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    values = np.ascontiguousarray(sitk.GetArrayFromImage(image).transpose(2, 1, 0))[None]
    return MetaTensor(values, affine=torch.from_numpy(TO_RAS @ affine))
