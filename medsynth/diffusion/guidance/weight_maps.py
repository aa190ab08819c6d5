"""Eq. 5: weight maps W: where a reference acts, and how strongly."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def spherical_gaussian(
    size: tuple[int, int],
    *,
    center: tuple[float, float],
    diameter: float,
    spacing: tuple[float, float] = (1.0, 1.0),
    offset: float = 0.0,
    width: float = 0.25,
) -> Tensor:
    """The W of the paper: an isotropic Gaussian on the patch, zero outside it.

    exp(-r^2 / (2 s^2)) for r <= diameter / 2, with s = width * diameter, so that its width follows
    the patch's size. The paper gives no figure for `width`; 0.25 puts the edge at 0.14.

    Args:
        size: (H, W) of the slice in pixels.
        center: (row, column) of the patch's center in pixels.
        diameter: of the patch, in the unit of `spacing`.
        spacing: (row, column) spacing: mm, or 1 to work in pixels.
        offset: distance of this slice from the patch's center along z, in the unit of `spacing`.
        width: standard deviation over diameter.

    Returns:
        (1, 1, H, W) float32 in [0, 1].

    Raises:
        ValueError: diameter, spacing or width not positive.
    """
    if min(diameter, width, *spacing) <= 0:
        raise ValueError(
            f"diameter, width and spacing must be positive, got {diameter}, {width}, {spacing}"
        )
    rows = (torch.arange(size[0], dtype=torch.float64) - center[0]) * spacing[0]
    columns = (torch.arange(size[1], dtype=torch.float64) - center[1]) * spacing[1]
    square = rows[:, None] ** 2 + columns**2 + offset**2
    weight = torch.exp(-square / (2 * (width * diameter) ** 2))
    return (weight * (square <= (diameter / 2) ** 2)).to(torch.float32)[None, None]


def feathered(mask: np.ndarray, *, spacing: tuple[float, ...], feather: float) -> np.ndarray:
    """1 inside the mask, falling to 0 over `feather` outside it along half a cosine.

    Args:
        mask: bool or 0/1, of two or three axes.
        spacing: of the mask's axes in their order, in mm (or pixels).
        feather: width of the fall in the unit of `spacing`; 0: the mask itself.

    Returns:
        float32 in [0, 1], the mask's shape.

    Raises:
        ValueError: feather negative, or spacing that does not fit the axes.
    """
    if feather < 0 or len(spacing) != mask.ndim:
        raise ValueError(
            f"feather must be at least 0 and spacing have {mask.ndim} values, got {feather} and "
            f"{spacing}"
        )
    mask = mask.astype(bool)
    if feather == 0 or not mask.any():
        return mask.astype(np.float32)
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing)
    fall = np.clip(distance / feather, 0, 1)
    return (0.5 * (1 + np.cos(np.pi * fall))).astype(np.float32)
