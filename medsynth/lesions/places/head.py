"""The brain in a picture of gray values, without its ventricles."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth.lesions.places.finding import Finder, Spacing, found
from medsynth.lesions.regions import inside_skull_ct, inside_skull_mr

SMOOTHED = 0.008  # of the head's width
# Around the median of what is inside: fluid is darker (or, in T2, brighter), bone and fat brighter.
TISSUE_CT = (0.62, 1.7)
TISSUE_MR = (0.6, 1.6)
INNER_TABLE = 0.02  # of the head's width, beside the skull


def brain_ct(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The brain of each slice of a CT in its window."""
    return _brain(inside_skull_ct, values, spacing_mm, threshold, TISSUE_CT)


def brain_mr(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The brain of each slice of an MR image."""
    return _brain(inside_skull_mr, values, spacing_mm, threshold, TISSUE_MR)


def _brain(
    inside_skull: Finder,
    values: np.ndarray,
    spacing_mm: Spacing,
    threshold: float,
    tissue: tuple[float, float],
) -> np.ndarray:
    inside = found(inside_skull, values, spacing_mm, threshold)
    planes = zip(values, inside, strict=True)
    return np.stack([_tissue(plane, within, tissue) for plane, within in planes])


def _tissue(plane: np.ndarray, inside: np.ndarray, tissue: tuple[float, float]) -> np.ndarray:
    """The largest piece of what is as bright as most of the skull's inside, (j, i)."""
    if not inside.any():
        return inside
    width = 2 * float(np.sqrt(inside.sum() / np.pi))
    inside = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] > INNER_TABLE * width
    if not inside.any():
        return inside
    smooth = ndimage.gaussian_filter(plane.astype(np.float32), SMOOTHED * width)
    middle = float(np.median(smooth[inside]))
    like = inside & (smooth > tissue[0] * middle) & (smooth < tissue[1] * middle)
    reach = max(1, round(SMOOTHED * width))
    like = ndimage.binary_opening(like, iterations=reach)
    label, count = ndimage.label(like)
    if count == 0:
        return like
    largest = label == 1 + np.argmax(np.bincount(label.ravel())[1:])
    return ndimage.binary_closing(largest, iterations=reach) & inside
