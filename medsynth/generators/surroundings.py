"""What lies around a body on CT: air, table and clothes, which no network has to invent.

The low-pass image of a reference rings in the air around a body, and sharp thin lines, such as a
table's, cannot be drawn again from it. They say nothing of the patient, so a result may have them where
the reference has them: the reference without its noise (a sigma filter, Lee 1983), and new noise with
the reference's spectrum and local level. No pixel is copied.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from medsynth.domains import Preset
from medsynth.lesions.body import thick_array

PIXEL_MM = 0.75  # where slices have no spacing of their own; only tells an arm from a sheet
# Half the thickness of a sheet: thicker than most of a table, and thinner than any chest wall, which
# keeps the lung from being taken for what surrounds it.
SHEET_MM = 1.6
SKIN, FADE = 2.0, 3.0  # pixels: how far from a body the surroundings begin, and are all there is
AIR = 75.0  # how far above the domain's air the middle of what is taken for air may lie
REACH, ALIKE = 2, 4.0  # of the sigma filter: pixels, and standard deviations of the noise
LOCAL = 4.0  # pixels: over which the level of the noise is taken
FEWEST = 500  # pixels of air, to measure its noise
MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


def weights_around(values: np.ndarray, preset: Preset) -> np.ndarray:
    """How far each pixel of `values` (H, W) lies in the surroundings, 0 to 1, float32.

    Arms are no surroundings, nor is a lung that the frame cuts open: what surrounds is air for the
    most part, and reaches the frame.
    """
    spacing = (PIXEL_MM, PIXEL_MM, 1.0)
    outside = ~thick_array(values[None], spacing, preset.body_threshold, sheet_mm=SHEET_MM)[0]
    if outside.all():
        return np.zeros(values.shape, np.float32)
    label, count = ndimage.label(outside)
    medians = ndimage.median(values, label, range(1, count + 1))
    airy = 1 + np.flatnonzero(np.asarray(medians) < preset.air + AIR)
    distance = ndimage.distance_transform_edt(np.isin(label, airy))
    return np.clip((distance - SKIN) / FADE, 0, 1).astype(np.float32)


def without_own_noise(
    values: np.ndarray, weights: np.ndarray, white: np.ndarray, preset: Preset
) -> np.ndarray:
    """`values` (H, W) in physical units with other noise, made of `white` ~ N(0, 1), where `weights` > 0.

    The noise has the amplitude of the old at every frequency and random phases, and its local level.
    """
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    plane = np.clip(values, low, high).astype(np.float32)
    clean = _sigma_filtered(plane, _noise_of(plane, weights, preset))
    noise = (plane - clean) * weights
    area = ndimage.gaussian_filter(weights**2, LOCAL)
    level = np.sqrt(ndimage.gaussian_filter(noise**2, LOCAL) / np.maximum(area, 1e-3))
    fresh = fft.irfft2(fft.rfft2(white) * np.abs(fft.rfft2(noise)), s=plane.shape)
    deviation = float(fresh.std())
    if deviation > 0:
        clean = clean + level * fresh / deviation
    return np.clip(clean, low, high).astype(np.float32)


def _noise_of(plane: np.ndarray, weights: np.ndarray, preset: Preset) -> float:
    """Standard deviation of the noise of air that is not cut off at the lower end of the range."""
    air = (weights == 1) & (plane < preset.air + 2 * AIR) & (plane > preset.intensity.physical[0])
    if air.sum() < FEWEST:
        return 0.0
    fine = plane - ndimage.uniform_filter(plane, 3)
    return float(MAD * np.median(np.abs(fine[air])) * 3 / np.sqrt(8))


def _sigma_filtered(plane: np.ndarray, deviation: float) -> np.ndarray:
    """The mean of the near pixels that differ by no more than noise does."""
    rows, columns = plane.shape
    padded = np.pad(plane, REACH, mode="edge")
    total, count = np.zeros_like(plane), np.zeros_like(plane)
    for row in range(2 * REACH + 1):
        for column in range(2 * REACH + 1):
            near = padded[row : row + rows, column : column + columns]
            alike = np.abs(near - plane) <= ALIKE * deviation
            total += near * alike
            count += alike
    return total / count
