"""Radiomic features of patches: first order, gray-level co-occurrence, gray-level run length.

Definitions of the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020), on patches seen
through a window and cut into `LEVELS` equal steps. Features of an image by the dozen, none of them
learned: what a network was trained to see cannot hide in them.
"""

from __future__ import annotations

import numpy as np

LEVELS = 16
DISTANCES = (1, 2)
ANGLES = ((0, 1), (1, 0), (1, 1), (1, -1))


def radiomic(patches: np.ndarray) -> np.ndarray:
    """Features (M, 31) of patches (M, S, S) with values 0 to 1."""
    levels = np.minimum((patches * LEVELS).astype(np.int64), LEVELS - 1)
    texture = [co_occurrence_features(co_occurrence(levels, d)) for d in DISTANCES]
    return np.concatenate([_first_order(patches, levels), *texture, run_features(levels)], axis=1)


def _first_order(patches: np.ndarray, levels: np.ndarray) -> np.ndarray:
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    mean, std = flat.mean(1), flat.std(1)
    # A patch of one value (all beyond the window) has no shape: its moments are 0, not 0 / 0.
    score = (flat - mean[:, None]) / np.maximum(std, 1e-6)[:, None]
    counts = _counts(levels.reshape(len(levels), -1), LEVELS) / flat.shape[1]
    quantiles = np.quantile(flat, (0.1, 0.25, 0.5, 0.75, 0.9), axis=1)
    deviation = np.abs(flat - mean[:, None]).mean(1)
    moments = [mean, std, (score**3).mean(1), (score**4).mean(1), deviation, (flat**2).mean(1)]
    return np.stack([*moments, *quantiles, _entropy(counts)], axis=1)


def _counts(values: np.ndarray, size: int) -> np.ndarray:
    """How often each of 0 ... size - 1 occurs in each row of `values` (M, n): (M, size)."""
    rows = np.arange(len(values))[:, None] * size
    return np.bincount((values + rows).ravel(), minlength=len(values) * size).reshape(-1, size)


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Bits, over the last axis."""
    return -(shares * np.log2(np.maximum(shares, 1e-12))).sum(-1)


def co_occurrence(levels: np.ndarray, distance: int) -> np.ndarray:
    """Symmetric, over four directions, adding up to 1: (M, LEVELS, LEVELS) from (M, S, S)."""
    total = np.zeros((len(levels), LEVELS * LEVELS))
    height, width = levels.shape[1:]
    for down, right in ANGLES:
        rows, columns = down * distance, right * distance
        first = levels[:, : height - rows, max(0, -columns) : width - max(0, columns)]
        second = levels[:, rows:, max(0, columns) : width + min(0, columns)]
        total += _counts((first * LEVELS + second).reshape(len(levels), -1), LEVELS * LEVELS)
    matrix = total.reshape(-1, LEVELS, LEVELS)
    matrix = matrix + matrix.transpose(0, 2, 1)
    return matrix / matrix.sum(axis=(1, 2), keepdims=True)


def co_occurrence_features(matrix: np.ndarray) -> np.ndarray:
    """Contrast, dissimilarity, inverse difference moment, energy, entropy, correlation: (M, 6)."""
    i, j = np.indices(matrix.shape[1:])
    mean = (matrix * i).sum(axis=(1, 2))
    variance = (matrix * (i - mean[:, None, None]) ** 2).sum(axis=(1, 2))
    covariance = (matrix * i * j).sum(axis=(1, 2)) - mean**2
    # One gray level: correlation is 1 by IBSI's definition.
    correlation = np.where(variance > 1e-9, covariance / np.maximum(variance, 1e-9), 1.0)
    sums = [
        (matrix * f).sum(axis=(1, 2)) for f in ((i - j) ** 2, abs(i - j), 1 / (1 + (i - j) ** 2))
    ]
    energy = (matrix**2).sum(axis=(1, 2))
    return np.stack([*sums, energy, _entropy(matrix.reshape(len(matrix), -1)), correlation], axis=1)


def run_lengths(levels: np.ndarray) -> np.ndarray:
    """Runs of equal gray level along rows and columns: (M, LEVELS, S), by level and length - 1."""
    size = levels.shape[-1]
    total = np.zeros((len(levels), LEVELS * size))
    for lines in (levels, levels.transpose(0, 2, 1)):
        flat = lines.reshape(-1, size)
        starts = np.ones(flat.shape, dtype=bool)
        starts[:, 1:] = flat[:, 1:] != flat[:, :-1]
        places = np.flatnonzero(starts)
        lengths = np.diff(places, append=starts.size)
        patch = places // levels[0].size
        cell = (patch * LEVELS + flat.ravel()[places]) * size + lengths - 1
        total += np.bincount(cell, minlength=total.size).reshape(total.shape)
    return total.reshape(-1, LEVELS, size)


def run_features(levels: np.ndarray) -> np.ndarray:
    """Short and long run emphasis, gray level and run length non-uniformity (normalized), run
    percentage, low and high gray level emphasis: (M, 7)."""
    runs = run_lengths(levels)
    count = runs.sum(axis=(1, 2))
    length = np.arange(1, runs.shape[2] + 1)
    level = np.arange(1, LEVELS + 1)[:, None]
    weighted = [(runs * w).sum(axis=(1, 2)) / count for w in (1.0 / length**2, length**2.0)]
    uneven = [(runs.sum(axis=axis) ** 2).sum(1) / count**2 for axis in (2, 1)]
    pixels = 2 * levels[0].size  # every pixel is in one run along its row and one along its column
    gray = [(runs * w).sum(axis=(1, 2)) / count for w in (1.0 / level**2, level**2.0)]
    return np.stack([*weighted, *uneven, count / pixels, *gray], axis=1)
