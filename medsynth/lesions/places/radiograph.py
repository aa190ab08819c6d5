"""The lung fields of a frontal chest radiograph: the two dark areas beside the middle of the body."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SMOOTHED = 0.015  # of the film's width
# Of the film's width and height: where the middle of a lung field can be, and how large it is at least.
ACROSS = (0.12, 0.88)
DOWN = (0.18, 0.78)
LEAST_AREA = 0.025
OPENED = 0.02
# Where darkness alone does not tell: half axes and centers of two ovals, as shares of the film.
OVALS = ((0.30, 0.45, 0.11, 0.24), (0.70, 0.45, 0.11, 0.24))

Spacing = tuple[float, float, float]


def lung_fields(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """Both lung fields of a film (1, H, W); where they are not told from the rest, two ovals."""
    film = values[0].astype(np.float32)
    exposed = film > threshold
    if not exposed.any():
        return np.zeros(values.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(film, SMOOTHED * film.shape[1])
    sides = [_field(smooth, exposed, right_half) for right_half in (False, True)]
    return (sides[0] | sides[1])[None]


def left_lung_field(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The patient's left, which is the film's right."""
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
    """One lung field, (H, W): the largest dark piece near the middle of its half."""
    height, width = smooth.shape
    j, i = np.indices(smooth.shape)
    across, down = i / width, j / height
    half = (across >= 0.5) if right_half else (across < 0.5)
    box = half & (across > 0.05) & (across < 0.95) & (down > 0.06) & (down < 0.92) & exposed
    oval = _oval(across, down, OVALS[int(right_half)])
    if not box.any():
        return np.zeros_like(exposed)
    dark = box & (smooth < _otsu(smooth[box]))
    dark = ndimage.binary_opening(dark, iterations=max(1, round(OPENED * width / 2)))
    label, count = ndimage.label(dark)
    best, found = 0, np.zeros_like(dark)
    for number in range(1, count + 1):
        piece = label == number
        overlap = int((piece & oval).sum())
        if overlap > best and piece.mean() >= LEAST_AREA:
            best, found = overlap, piece
    if not best:
        return oval & exposed
    found = ndimage.binary_closing(found, iterations=max(1, round(0.02 * width))) & box
    return ndimage.binary_fill_holes(found)


def _oval(across: np.ndarray, down: np.ndarray, oval: tuple[float, ...]) -> np.ndarray:
    x, y, a, b = oval
    return ((across - x) / a) ** 2 + ((down - y) / b) ** 2 <= 1


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts `values` into two groups that differ most (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64)
    middle = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total, mean = weight[-1], np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean[-1] * weight / total - mean) ** 2 / (weight * (total - weight))
    return float(middle[int(np.nanargmax(between[:-1]))])
