"""What fills a breast: power-law noise, strands towards the nipple, vessels; all seeded."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.fft import next_fast_len

# Power spectra of mammograms fall as 1 / f^beta with beta about 3 (Burgess, Jacobson & Judy, Med
# Phys 2001;28:419; Heine & Velthuizen, Med Phys 2002;29:647).
BETA = 3.0


def power_law(
    shape: tuple[int, int],
    generator: np.random.Generator,
    *,
    pixel_mm: float,
    longest_mm: float,
    beta: float = BETA,
) -> np.ndarray:
    """Gaussian noise of unit variance whose power falls as 1 / f^beta from 1 / `longest_mm` on."""
    rows, columns = (next_fast_len(n, real=True) for n in shape)
    white = np.fft.rfft2(generator.standard_normal((rows, columns)))
    f = np.hypot(np.fft.fftfreq(rows, pixel_mm)[:, None], np.fft.rfftfreq(columns, pixel_mm))
    knee = 1 / longest_mm
    amplitude = (f**2 + knee**2) ** (-beta / 4)
    amplitude[0, 0] = 0
    field = np.fft.irfft2(white * amplitude, s=(rows, columns))[: shape[0], : shape[1]]
    return ((field - field.mean()) / field.std()).astype(np.float32)


def strands(
    x_mm: np.ndarray,
    y_mm: np.ndarray,
    nipple_mm: np.ndarray,
    generator: np.random.Generator,
    *,
    wander: np.ndarray,
) -> np.ndarray:
    """Ducts and ligaments: thin bright lines that run towards the nipple, 0 to 1, (H, W).

    The zero lines of a smooth random field in polar coordinates about the nipple, which is drawn
    out along the radius; `wander` (H, W), of unit variance, bends them.
    """
    wander = ndimage.gaussian_filter(wander, 2.5 / (x_mm[0, 1] - x_mm[0, 0]))
    dx, dy = x_mm - nipple_mm[0] - 6, y_mm - nipple_mm[1]
    radius = np.hypot(dx, dy) + 2 * wander
    angle = np.arctan2(dy, -dx) + 0.1 * wander
    lines = np.zeros_like(radius)
    for cell_deg, cell_mm, width, share in ((8.0, 70.0, 0.07, 1.0), (4.5, 38.0, 0.09, 0.7)):
        lattice = generator.standard_normal((int(360 / cell_deg) + 6, int(240 / cell_mm) + 8))
        lattice = ndimage.zoom(lattice, 4, order=3)
        at = [(np.rad2deg(angle) + 180) / cell_deg * 4 + 4, radius.clip(0) / cell_mm * 4 + 4]
        field = ndimage.map_coordinates(lattice, at, order=1, mode="nearest")
        some = ndimage.map_coordinates(
            ndimage.zoom(generator.standard_normal((24, 14)), 4, order=3),
            [at[0] * 0.35, at[1] * 0.35],
            order=1,
            mode="nearest",
        )
        lines = np.maximum(
            lines, share * np.exp(-((field / width) ** 2)) * _rising(some, -0.3, 0.6)
        )
    return lines.astype(np.float32)


def _rising(values: np.ndarray, low: float, high: float) -> np.ndarray:
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)
