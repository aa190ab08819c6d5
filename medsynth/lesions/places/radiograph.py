"""The lung fields of a frontal chest radiograph: the two dark areas beside the middle of the body."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth.lesions.places.finding import Spacing

SMOOTHED = 0.012  # of the radiograph's width
OPENED = 0.045
LEAST_AREA = 0.02  # of the radiograph: smaller pieces are no lung
# Ovals as shares of the radiograph (center, half axes): where the left half's lung field can be at all, so
# that air beside the neck and the arms is none, and where it surely is on a radiograph that hides it.
CAN_BE = (0.30, 0.47, 0.165, 0.31)
SURELY = (0.30, 0.43, 0.10, 0.20)


def lung_fields(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """Both lung fields of a radiograph (1, H, W); where they do not stand out, two ovals."""
    radiograph = values[0].astype(np.float32)
    exposed = radiograph > threshold
    if not exposed.any():
        return np.zeros(values.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(radiograph, SMOOTHED * radiograph.shape[1])
    sides = [_field(smooth, exposed, right_half) for right_half in (False, True)]
    return (sides[0] | sides[1])[None]


def left_lung_field(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The patient's left, which is the radiograph's right."""
    return _half(lung_fields(values, spacing_mm, threshold), right=True)


def right_lung_field(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The patient's right."""
    return _half(lung_fields(values, spacing_mm, threshold), right=False)


def _half(region: np.ndarray, *, right: bool) -> np.ndarray:
    kept, middle = np.zeros_like(region), region.shape[2] // 2
    part = slice(middle, None) if right else slice(None, middle)
    kept[:, :, part] = region[:, :, part]
    return kept


def _field(smooth: np.ndarray, exposed: np.ndarray, right_half: bool) -> np.ndarray:
    """One lung field, (H, W): the largest dark piece of where it can be."""
    height, width = smooth.shape
    j, i = np.indices(smooth.shape)
    across = 1 - i / width if right_half else i / width
    can_be, surely = (oval(across, j / height, shape) & exposed for shape in (CAN_BE, SURELY))
    if not can_be.any():
        return can_be
    dark = can_be & (smooth < _otsu(smooth[can_be]))
    reach = max(1, round(OPENED * width / 2))
    label, count = ndimage.label(ndimage.binary_opening(dark, iterations=reach))
    if count == 0:
        return surely
    inside = np.bincount(label[surely], minlength=count + 1)[1:]
    found = label == 1 + np.argmax(inside)
    if not inside.any() or found.mean() < LEAST_AREA:
        return surely
    closed = ndimage.binary_closing(np.pad(found, reach), iterations=reach)[
        reach:-reach, reach:-reach
    ]
    return ndimage.binary_fill_holes(closed & can_be)


def oval(across: np.ndarray, down: np.ndarray, shape: tuple[float, ...]) -> np.ndarray:
    """Where shares of width and height lie inside an oval of this center and these half axes."""
    x, y, a, b = shape
    return ((across - x) / a) ** 2 + ((down - y) / b) ** 2 <= 1


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts `values` into two groups that differ most (Otsu 1979)."""
    if values.min() == values.max():
        return float(values.min())  # nothing is darker
    counts, edges = np.histogram(values, bins=64)
    middle = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total, mean = weight[-1], np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean[-1] * weight / total - mean) ** 2 / (weight * (total - weight))
    return float(middle[int(np.nanargmax(between[:-1]))])
