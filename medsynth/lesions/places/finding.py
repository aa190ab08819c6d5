"""What the finders of all organs share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medsynth.errors import GeometryError

Spacing = tuple[float, float, float]
Finder = Callable[[np.ndarray, Spacing, float], np.ndarray]


def found(finder: Finder, values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """What `finder` finds, (k, j, i) bool; nowhere, where it refuses the image."""
    try:
        return finder(values, spacing_mm, threshold)
    except GeometryError:
        return np.zeros(values.shape, dtype=bool)
