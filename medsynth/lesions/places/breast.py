"""The breast of a mammogram without skin and, in an oblique view, without the pectoral muscle."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth.lesions.mammogram import breast_array
from medsynth.lesions.places.finding import Spacing, found

SKIN_MM = 3.0
SMOOTHED_MM = 2.0
# The muscle's corner is at least this much brighter than the breast's median, and reaches this far.
BRIGHTER = 1.15
MUSCLE_SHARE = 0.55  # of the breast's height and width: no muscle is sought beyond


def breast(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """Where a lesion of the breast can be; nowhere, where there is none."""
    inside = found(breast_array, values, spacing_mm, threshold)
    depth = ndimage.distance_transform_edt(
        np.pad(inside[0], 1, mode="edge"), sampling=spacing_mm[1::-1]
    )[1:-1, 1:-1]
    region = depth > SKIN_MM
    return (region & ~_muscle(values[0], inside[0], spacing_mm))[None]


def _muscle(mammogram: np.ndarray, inside: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """The bright corner between the upper edge and the chest wall, (H, W)."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return np.zeros_like(inside)
    smooth = ndimage.gaussian_filter(mammogram.astype(np.float32), SMOOTHED_MM / spacing_mm[0])
    bright = inside & (smooth > BRIGHTER * float(np.median(smooth[inside])))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    # The chest wall is on the side where the breast touches the image over more of its height.
    wall_left = inside[:, columns[0]].sum() >= inside[:, columns[-1]].sum()
    j, i = np.indices(mammogram.shape)
    away = (i - columns[0]) if wall_left else (columns[-1] - i)
    corner = (j - rows[0]) / (MUSCLE_SHARE * height) + away / (MUSCLE_SHARE * width) <= 1
    label, count = ndimage.label(bright & corner)
    if count == 0:
        return np.zeros_like(inside)
    edge = (
        slice(columns[0], columns[0] + 3) if wall_left else slice(columns[-1] - 2, columns[-1] + 1)
    )
    top = np.unique(label[rows[0] : rows[0] + max(3, int(0.1 * height)), edge])
    muscle = np.isin(label, top[top > 0])
    return ndimage.binary_dilation(muscle, iterations=max(1, round(1 / spacing_mm[0])))
