"""Writing the mark into the pixels of what was synthesized, below the image's own noise."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medsynth.marking.box import box_mean
from medsynth.marking.keys import MarkKey
from medsynth.marking.limits import MarkLimits
from medsynth.marking.pattern import frequencies_of, waves
from medsynth.marking.spectrum import coefficients, residual

SHARE = 0.4  # of the local noise's standard deviation
# Of the slice's median, what a pixel may change by where that is more than the limit for weak noise. A
# fifth is found in a quarter of every brain CT, whose noise is up to 14 gray values; a tenth is not.
IN_NOISE = 0.2
NOISE_WINDOW = 15  # pixels
PHASES = 64  # of a wave
JPEG_QUALITY = 50
JPEG_WEIGHT = 2  # what JPEG leaves, beside the image itself, in the phases of the waves


def local_noise(values: np.ndarray) -> np.ndarray:
    """The standard deviation around every pixel of what varies from pixel to pixel, (H, W) float32.

    From differences to the mean of 5 x 5 pixels. The smaller one of a neighborhood and its mean:
    an edge is no noise. Neighborhoods are counted in squares of 2 x 2 pixels, for speed.
    """
    values = np.asarray(values, np.float32)
    squares = _squares(np.abs(values - box_mean(values, 5)))
    mean = box_mean(np.minimum(squares, 3 * box_mean(squares, NOISE_WINDOW)), NOISE_WINDOW // 2)
    # Of normally distributed values, the mean of the absolute one is 0.8 of the standard deviation.
    return _spread(mean / np.float32(0.8), values.shape)


def is_air(values: np.ndarray, threshold: float) -> np.ndarray:
    """Where a slice (H, W) is darker than `threshold` over 10 pixels: air, or a picture's empty ground.

    Counted in squares of 2 x 2 pixels too.
    """
    dark = box_mean(_squares(np.asarray(values, np.float32)), 5) < threshold
    return _spread(dark, np.shape(values))


def _squares(values: np.ndarray) -> np.ndarray:
    """The means of squares of 2 x 2 pixels; the last row and column are repeated where one is missing."""
    rows, columns = values.shape
    if rows % 2 or columns % 2:
        values = np.pad(values, ((0, rows % 2), (0, columns % 2)), mode="edge")
    return (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4


def _spread(squares: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Squares of 2 x 2 pixels as pixels again."""
    return np.repeat(np.repeat(squares, 2, 0), 2, 1)[: shape[0], : shape[1]]


def marked(
    values: np.ndarray, weight: np.ndarray | float, *, key: MarkKey, limits: MarkLimits
) -> np.ndarray:
    """A slice in whole units with its mark; of its type, and equal to it where nothing is marked.

    Args:
        values: (H, W), whole numbers.
        weight: from 0 to 1, how much of each pixel is synthetic.
        key: draws the pattern.
        limits: of the values' units.
    """
    noise, tissue = local_noise(values), ~is_air(values, limits.air)
    # Every fourth pixel of a row and a column: a median needs no more.
    most = largest_change(noise[::4, ::4][tissue[::4, ::4]], limits)
    low, high = limits.span
    # At an end of the span a wave could only go one way, and would move the mean.
    free = (values >= low + most) & (values <= high - most) & tissue
    where = np.asarray(weight, np.float32) * free
    frequencies = frequencies_of(key, limits.band)
    phases = own_phases(values, frequencies, picture=limits.picture)
    mark = waves(frequencies, phases, size=np.shape(values))
    mark *= np.float32(SHARE) * noise
    # Cut off at the limit, not scaled down to it: where the noise is strong, every pixel then goes the
    # whole way, and the waves are a sixth stronger.
    changed = np.rint(np.asarray(values, np.float32) + np.clip(mark, -most, most) * where)
    return np.where(where > 0, changed, values).astype(values.dtype)


def largest_change(noise: np.ndarray, limits: MarkLimits) -> float:
    """What a pixel may change by, of the local noise (K,) of tissue: edges have no say in its median."""
    typical = float(np.median(noise)) if noise.size else 0.0
    return float(np.clip(IN_NOISE * typical, limits.quiet, limits.largest))


def own_phases(
    values: np.ndarray, frequencies: np.ndarray, *, picture: tuple[float, float] | None
) -> np.ndarray:
    """The phases (K,) that the image itself has at `frequencies` (K, 2), as the detector sees it.

    With others, a wave and the image's own power there add up or cancel by chance; with these they
    always add up, and a third of a wave's power is as sure to be found (informed embedding: Miller,
    Doerr & Cox, IEEE Trans. Image Process. 13(6), 2004). Slices have phases of their own for the same
    reason, so no view across them sums the waves up to something that can be seen.

    `picture`: a window (low, high); the image as JPEG leaves it there counts `JPEG_WEIGHT` times what it does.
    """
    fine = residual(values)
    if picture is not None:
        fine += JPEG_WEIGHT * residual(_after_jpeg(values, picture))
    phases = np.angle(coefficients(fine, frequencies))
    # In steps, so that the last bit of a sum, which machines differ in, does not change the mark.
    return np.rint(phases * (PHASES / (2 * np.pi))) * (2 * np.pi / PHASES)


def _after_jpeg(values: np.ndarray, picture: tuple[float, float]) -> np.ndarray:
    low, high = picture
    shown = (np.asarray(values, np.float32) - low) * np.float32(255 / (high - low))
    data = io.BytesIO()
    Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8)).save(
        data, "JPEG", quality=JPEG_QUALITY
    )
    return np.asarray(Image.open(data))
