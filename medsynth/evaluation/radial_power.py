"""Power of a slice by radial frequency, as a window shows it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth.domains import Window

# Bands of the radial power spectrum, in cycles per pixel.
BANDS = ((0.03, 0.06), (0.06, 0.12), (0.12, 0.25), (0.25, 0.5))


def power(plane: np.ndarray, window: Window) -> np.ndarray:
    """|DFT|^2 of a slice (H, W) as the window shows it, tapered against its edges."""
    low, high = window.limits
    seen = (np.clip(plane, low, high) - low) / (high - low)
    taper = np.outer(*(np.hanning(n) for n in seen.shape))
    return np.abs(np.fft.fft2((seen - seen.mean()) * taper)) ** 2


def ring_means(power: np.ndarray, edges: Sequence[tuple[float, float]]) -> np.ndarray:
    """Mean power in each ring of frequencies [a, b) in cycles per pixel; NaN where a ring is empty."""
    rows, columns = (np.fft.fftfreq(n) for n in power.shape)
    radius = np.hypot(rows[:, None], columns)
    inside = [(radius >= a) & (radius < b) for a, b in edges]
    return np.array([power[ring].mean() if ring.any() else np.nan for ring in inside])
