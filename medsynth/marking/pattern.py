"""The pattern of the mark: waves whose frequencies only the key knows.

What is looked for later is the power at these frequencies: no shift and no crop changes it, a flip
mirrors the frequencies, and turning or scaling the image turns and scales them (Pereira & Pun, IEEE
Trans. Image Process. 9(6), 2000, put a template into the spectrum for the same reason).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from medsynth.marking.bands import WaveBand
from medsynth.marking.keys import MarkKey

APART = 0.011  # between two frequencies, so that a crop of 128 pixels still tells them apart
WAVES = 16


def uniforms(secret: bytes, purpose: str) -> Iterator[float]:
    """An endless sequence in [0, 1), the same on every computer."""
    counter = 0
    while True:
        block = hashlib.sha256(secret + purpose.encode() + counter.to_bytes(8, "big")).digest()
        for at in range(0, 32, 8):
            yield int.from_bytes(block[at : at + 8], "big") / 2**64
        counter += 1


@lru_cache(maxsize=64)
def frequencies_of(key: MarkKey, band: WaveBand) -> np.ndarray:
    """The frequencies (WAVES, 2) of a key, (y, x) in cycles per pixel.

    Uniform in the area of a half ring, no two close together.
    """
    numbers = uniforms(key.secret, f"frequencies {band.number}")
    low, high = band.low, band.high
    chosen: list[tuple[float, float]] = []
    while len(chosen) < WAVES:
        radius = (low**2 + next(numbers) * (high**2 - low**2)) ** 0.5
        angle = np.pi * (next(numbers) - 0.5)
        new = (radius * np.sin(angle), radius * np.cos(angle))
        # A real wave has its power at -f too.
        if all(
            min(np.hypot(new[0] - y, new[1] - x), np.hypot(new[0] + y, new[1] + x)) >= APART
            for y, x in chosen
        ):
            chosen.append(new)
    return np.array(chosen)


def waves(frequencies: np.ndarray, phases: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Their sum on a slice (H, W), float32, root mean square 1 far from its edges.

    Each is cos(2 pi f x + phase).
    """
    rows = np.exp(2j * np.pi * np.outer(np.arange(size[0]), frequencies[:, 0]) + 1j * phases)
    rows = (rows * np.sqrt(2 / len(frequencies))).astype(np.complex64)
    columns = np.exp(2j * np.pi * np.outer(frequencies[:, 1], np.arange(size[1])))
    columns = columns.astype(np.complex64)
    # The real part of the product, as one product of real matrices.
    left = np.concatenate([rows.real, -rows.imag], axis=1)
    right = np.concatenate([columns.real, columns.imag], axis=0)
    return left @ right
