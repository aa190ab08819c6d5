"""One projection image or slice onto the grid that a network was trained on: scaled, never stretched."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

# Standard deviation of the anti-aliasing Gaussian, in source pixels, for each pixel of shrinking.
ANTI_ALIASING = 0.45


def fit_to_grid(
    image: sitk.Image, grid: tuple[int, int], *, air: float, pixel_mm: float | None = None
) -> sitk.Image:
    """`image` (one slice or a stack of them) centerd on slices of `grid` = (H, W) pixels.

    Rows and columns are scaled by one factor: so that the image just fits, or, with `pixel_mm`, so
    that a pixel has that size unless the image would then not fit. What the image does not cover is
    `air`. The result lies where the image lies in the patient, float32. An image that has the grid
    and the scale already comes back as it is.
    """
    columns, rows, slices = image.GetSize()
    spacing = image.GetSpacing()
    if not np.isclose(spacing[0], spacing[1], rtol=1e-3):
        raise ValueError(
            f"pixels are {spacing[0]:g} x {spacing[1]:g} mm, expected square ones; resample the image"
        )
    step = max(rows / grid[0], columns / grid[1])  # source pixels per pixel of the grid
    if pixel_mm is not None:
        step = max(step, pixel_mm / spacing[0])
    if (rows, columns) == tuple(grid) and np.isclose(step, 1, rtol=0.01):
        return image
    smooth = sitk.Cast(image, sitk.sitkFloat32)
    sigma = ANTI_ALIASING * np.sqrt(max(step**2 - 1, 0)) * spacing[0]
    if sigma > 0:
        for axis in (0, 1):
            smooth = sitk.RecursiveGaussian(smooth, sigma=sigma, direction=axis)
    frame = sitk.Image([grid[1], grid[0], slices], sitk.sitkFloat32)
    frame.SetSpacing((spacing[0] * step, spacing[1] * step, spacing[2]))
    frame.SetDirection(image.GetDirection())
    middle = image.TransformContinuousIndexToPhysicalPoint([(columns - 1) / 2, (rows - 1) / 2, 0.0])
    corner = frame.TransformContinuousIndexToPhysicalPoint(
        [(n - 1) / 2 for n in grid[::-1]] + [0.0]
    )
    frame.SetOrigin([m - c for m, c in zip(middle, corner, strict=True)])
    return sitk.Resample(smooth, frame, sitk.Transform(), sitk.sitkLinear, float(air))
