"""The spectrum that a mark is looked for in, as ranks: what they are where there is no mark is known.

The frequencies of a mark are drawn by its key and have nothing to do with the image. So on any image
without that mark, whatever its spectrum looks like, the power at a wave's frequency is as likely to be
the highest of its ring as the lowest. Ranks r in (0, 1) within rings become -log(1 - r), exponentially
distributed with mean 1, and the sum over the waves follows a gamma distribution. No assumption is made
about the image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter
from scipy.signal.windows import tukey

from medsynth.marking.box import box_mean

SEGMENT = 512  # largest piece that is transformed in one
SMALLEST = 48  # pixels
SLOPES = 0.3  # of a side: both slopes of the window together
RINGS = np.geomspace(0.03, 0.5, 25)  # cycles per pixel


def residual(values: np.ndarray) -> np.ndarray:
    """What varies from pixel to pixel in units of its local strength, (H, W) float32, cut off at 3.

    The best detector of a pattern in proportion to the local noise; edges count no more than noise.
    """
    values = np.asarray(values, np.float32)
    fine = box_mean(values, 7)
    np.subtract(values, fine, out=fine)
    strength = box_mean(np.abs(fine), 5)
    strength += 1e-3 * float(strength.max(initial=0)) + 1e-12
    fine /= strength
    return np.clip(fine, -3, 3, out=fine)


def segments(
    size: tuple[int, int], side: int = SEGMENT, share: float = 0.5
) -> list[tuple[slice, slice]]:
    """Pieces of at most `side` pixels that cover a slice, each overlapping its neighbor."""

    def starts(n: int) -> list[int]:
        if n <= side:
            return [0]
        count = int(np.ceil((n - side) / (side * share))) + 1
        return [round(at) for at in np.linspace(0, n - side, count)]

    return [
        (slice(y, min(y + side, size[0])), slice(x, min(x + side, size[1])))
        for y in starts(size[0])
        for x in starts(size[1])
    ]


def transformed_size(size: tuple[int, int]) -> int:
    """Of a square transform: near 1.25 times the larger side, at least 256."""
    return fft.next_fast_len(max(256, int(1.25 * max(size))), real=True)


def faded(piece: np.ndarray) -> np.ndarray:
    """A piece of a residual without its mean, its edges faded out.

    A residual is nearly white, so little leaks from elsewhere: a short slope suffices, and leaves 0.8
    of the piece to the sum, where Hann's window (a slope of the whole side) leaves 0.44.
    """
    down, across = (tukey(n + 2, SLOPES)[1:-1].astype(np.float32) for n in piece.shape)
    return (piece - piece.mean()) * (down[:, None] * across[None])


def power_of(piece: np.ndarray, side: int) -> np.ndarray:
    """Power (side, side // 2 + 1) of a piece of a residual."""
    spectrum = fft.rfft2(faded(piece), s=(side, side))
    return spectrum.real**2 + spectrum.imag**2


def coefficients(fine: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Fourier coefficients (K,) of a residual (H, W) at `frequencies` (K, 2) of (y, x)."""
    fine = faded(fine)
    down = 2 * np.pi * np.outer(frequencies[:, 0], np.arange(fine.shape[0]))
    across = 2 * np.pi * np.outer(frequencies[:, 1], np.arange(fine.shape[1]))
    columns = np.concatenate([np.cos(down), -np.sin(down)]).astype(np.float32) @ fine
    real, imaginary = np.split(columns, 2)
    return ((real + 1j * imaginary) * np.exp(-1j * across)).sum(axis=1)


def ranks(power: np.ndarray) -> np.ndarray:
    """-log(1 - rank within its ring) of every frequency after division by the power around it."""
    side = power.shape[0]
    logarithm = np.log(power + 1e-12 * power.max() + 1e-30)
    width = max(9, 2 * (side // 50) + 1)
    relative = logarithm - uniform_filter(logarithm, width, mode=("wrap", "mirror"))
    found = np.zeros_like(relative, dtype=np.float32)
    flat, values = found.reshape(-1), relative.reshape(-1)
    for members in rings(power.shape):
        order = members[np.argsort(values[members])]
        count = len(order)
        flat[order] = -np.log1p(-(np.arange(count) + 0.5) / count)
    found[side // 2 + 1 :, 0] = found[1 : (side + 1) // 2, 0][::-1]
    return found


@lru_cache(maxsize=8)
def rings(shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Of every ring of like frequencies, where its own are in a flattened half spectrum."""
    side, columns = shape
    y, x = fft.fftfreq(side)[:, None], np.arange(columns)[None] / side
    ring = np.digitize(np.hypot(y, x), RINGS)
    ring[side // 2 + 1 :, 0] = 0  # the conjugates of what the column holds already
    every = (np.flatnonzero(ring == number) for number in range(1, len(RINGS)))
    return tuple(members for members in every if len(members))
