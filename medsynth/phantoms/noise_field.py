"""Smooth random texture that is a function of position in mm: the same in 2-D and 3-D."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

# (lattice spacing in mm, share of the variance): fine enough to break up flat areas, coarse enough
# to survive a low-pass filter; what is finer is the network's work.
OCTAVES = ((3.0, 0.6), (11.0, 0.4))
COUNT = 160  # lattice points per axis, after which the field repeats


class Texture:
    """Gaussian random field of about unit variance, drawn plane by plane where it is looked at."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lattice = lru_cache(maxsize=8)(self._draw)

    def plane(self, x_mm: np.ndarray, y_mm: np.ndarray, *, z_mm: float) -> np.ndarray:
        """The field at columns `x_mm` (W,) and rows `y_mm` (H,) of the plane `z_mm`: (H, W)."""
        total = np.zeros((len(y_mm), len(x_mm)), dtype=np.float32)
        for octave, (spacing_mm, _) in enumerate(OCTAVES):
            below = int(np.floor(z_mm / spacing_mm))
            part = np.float32(z_mm / spacing_mm - below)
            lower, upper = (self._lattice(octave, below + n) for n in (0, 1))
            layer = lower * (1 - part) + upper * part
            rows = _between(layer, y_mm / spacing_mm, axis=0)
            total += _between(rows, x_mm / spacing_mm, axis=1)
        return total

    def _draw(self, octave: int, level: int) -> np.ndarray:
        """One plane of an octave's lattice, (COUNT, COUNT)."""
        # Seeds are non-negative; levels are not.
        generator = np.random.default_rng([self._seed, octave, level % 2**32, 77])
        lattice = generator.standard_normal((COUNT, COUNT), dtype=np.float32)
        lattice = ndimage.gaussian_filter(lattice, 0.7, mode="wrap")
        return lattice * np.float32(np.sqrt(OCTAVES[octave][1]) / lattice.std())


def _between(values: np.ndarray, position: np.ndarray, *, axis: int) -> np.ndarray:
    """Linear interpolation of a repeating lattice at fractional indices along one axis."""
    low = np.floor(position).astype(int)
    shape = [1] * values.ndim
    shape[axis] = -1
    part = (position - low).astype(np.float32).reshape(shape)
    count = values.shape[axis]
    below = np.take(values, low % count, axis=axis)
    return below + part * (np.take(values, (low + 1) % count, axis=axis) - below)
