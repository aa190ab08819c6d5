"""Noise as the reference's scanner made it: what a sample of few network calls has too little of.

A denoiser's x0 is a mean, and a mean has no noise; few calls leave little of it. How much noise a
scanner leaves, and how fine, is measured in even regions of the reference as a noise power spectrum
(ICRU report 87: |DFT|^2 / pixels, a plane taken away), and in the same regions of the sample. White
noise, shaped by the difference of the two spectra, makes it up, tissue by tissue, above the
frequencies of the low-pass image. Where the sample has more noise than the reference, nothing is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from scipy import fft, ndimage
from torch import Tensor

from medsynth.diffusion.noise import Draw
from medsynth.domains import IntensityMap, NoisyTissue

REGION = 24  # pixels, a side
CANDIDATES, KEPT, FEWEST = 200, 12, 4  # places in a tissue; the most even are measured
INSIDE = 0.98  # share of a region that must be the tissue
SMOOTH = 2.0  # pixels: what decides which tissue a pixel is
RINGS = np.linspace(0.02, 0.5, 13)  # cycles per pixel
CENTERS = (RINGS[1:] + RINGS[:-1]) / 2
# Of soft kernels, at a variance of 1: median over 36 slices of the 8 training patients of lung_ct.
TYPICAL = np.array([4.43, 3.33, 3.18, 2.76, 2.17, 1.94, 1.46, 1.1, 0.74, 0.53, 0.37, 0.15])
NOISELESS = 1e-3  # of the range of the tissue: below it there is no spectrum to follow

# Standard deviation of the noise in a tissue: of the reference, of the sample, of what is added.
Levels = tuple[float, float, float]


@dataclass(frozen=True)
class ScannerNoise:
    """How much noise a result shall have: as the reference, or of standard deviation `level`.

    `level` is that of the first of `tissues`, in physical units; the others keep their share of it.
    """

    tissues: tuple[NoisyTissue, ...]
    level: float | None = None

    def missing(
        self, reference: np.ndarray, sample: np.ndarray, *, factor: int, seed: int = 0
    ) -> dict[str, tuple[np.ndarray, Levels]]:
        """What `sample` (H, W) lacks, by tissue: amplitude in each of `RINGS`, and its levels.

        `reference` is the slice at the same place, in the same physical units; `factor` that of its
        low-pass image: below 1 / (2 factor) cycles per pixel nothing is missing. `seed` is of the places
        that are looked at. A tissue without enough even places is left out.
        """
        smooth = ndimage.gaussian_filter(reference.astype(np.float32), SMOOTH)
        found: dict[str, tuple[np.ndarray, Levels]] = {}
        gain = 1.0
        for index, tissue in enumerate(self.tissues):
            corners = _even_places(smooth, tissue.measured, np.random.default_rng((seed, index)))
            if len(corners) < FEWEST:
                continue
            wanted, ours = spectrum(reference, corners), spectrum(sample, corners)
            if self.level is not None:
                level = self.level * tissue.share
                wanted, gain = _at_level(wanted, tissue, level, gain, first=not found)
            lacking = np.clip(wanted - ours, 0, None)
            lacking[0.5 / factor > CENTERS] = 0
            levels = (_deviation(wanted), _deviation(ours), _deviation(lacking))
            found[tissue.name] = (np.sqrt(lacking), levels)
        return found

    def shaped(
        self, lacking: dict[str, tuple[np.ndarray, Levels]], white: np.ndarray, sample: np.ndarray
    ) -> np.ndarray:
        """What to add to `sample` (H, W), in physical units, from `white` ~ N(0, 1) of its shape."""
        rows, columns = (np.fft.fftfreq(white.shape[0]), np.fft.rfftfreq(white.shape[1]))
        radius = np.hypot(rows[:, None], columns)
        transform, added = fft.rfft2(white), np.zeros(white.shape)
        for name, share in _shares(sample, self.tissues).items():
            if name in lacking:
                gain = np.interp(radius, CENTERS, lacking[name][0])
                added += share * fft.irfft2(transform * gain, s=white.shape)
        return added.astype(np.float32)


@dataclass(eq=False)
class NoiseLikeReference:
    """The last touch of a sample (B, 1, H, W) in [-1, 1] beside its reference, one for each slice.

    `levels` are those of the slices that it was called for, by tissue.
    """

    noise: ScannerNoise
    reference: Tensor
    intensity: IntensityMap
    factor: int
    draw: Draw
    levels: dict[str, list[Levels]] = field(default_factory=dict, init=False)

    def __call__(self, x0: Tensor) -> Tensor:
        """x0 with the noise; its low frequencies are for the conditions to put right."""
        white = self.draw((1, *x0.shape[-2:])).cpu().numpy()
        changes = [
            self._change(x0[b, 0].cpu().numpy(), self.reference[b, 0].cpu().numpy(), white[b, 0])
            for b in range(len(x0))
        ]
        return x0 + torch.from_numpy(np.stack(changes))[:, None].to(x0)

    def _change(self, x0: np.ndarray, reference: np.ndarray, white: np.ndarray) -> np.ndarray:
        sample = self.intensity.from_unit(x0)
        lacking = self.noise.missing(
            self.intensity.from_unit(reference), sample, factor=self.factor
        )
        for name, (_, levels) in lacking.items():
            self.levels.setdefault(name, []).append(levels)
        noisy = sample + self.noise.shaped(lacking, white.astype(np.float64), sample)
        return self.intensity.to_unit(noisy) - self.intensity.to_unit(sample)


def spectrum(plane: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Noise power of the regions at `corners` in each of `RINGS`, the median over the regions (12,).

    The median, since a vessel in one region is no noise.
    """
    regions = np.stack([plane[r : r + REGION, c : c + REGION] for r, c in corners])
    flat, trend = regions.reshape(len(regions), -1).astype(np.float64), _trend()
    flat = flat - flat @ trend @ trend.T
    power = np.abs(np.fft.fft2(flat.reshape(regions.shape))) ** 2 / REGION**2
    rings = np.stack([power[:, _rings() == ring].mean(axis=1) for ring in range(len(CENTERS))])
    return np.median(rings, axis=1)


def _at_level(
    measured: np.ndarray, tissue: NoisyTissue, level: float, gain: float, *, first: bool
) -> tuple[np.ndarray, float]:
    """The spectrum scaled to the deviation `level`, and the gain that the other tissues share."""
    low, high = tissue.measured
    if np.sqrt(variance(measured)) < NOISELESS * (high - low):
        return TYPICAL / variance(TYPICAL) * level**2, gain
    if first:
        gain = level**2 / variance(measured)
    return gain * measured, gain


def _deviation(power: np.ndarray) -> float:
    return float(np.sqrt(variance(power)))


def variance(power: np.ndarray) -> float:
    """Of noise with this power in the rings, each by the number of frequencies that it holds."""
    rings = _rings()
    counts = np.bincount(rings[rings >= 0], minlength=len(CENTERS))
    return float((counts * power).sum() / REGION**2)


def _shares(sample: np.ndarray, tissues: Sequence[NoisyTissue]) -> dict[str, np.ndarray]:
    """How far each pixel belongs to each tissue, 0 to 1; in all at most 1."""
    smooth = ndimage.gaussian_filter(sample.astype(np.float32), SMOOTH)
    shares, left = {}, np.ones(sample.shape, np.float32)
    for tissue in sorted(tissues, key=lambda t: -t.faded[0]):
        none, full = tissue.faded
        shares[tissue.name] = left * np.clip((smooth - none) / (full - none), 0, 1)
        left = left - shares[tissue.name]
    return shares


def _even_places(
    smooth: np.ndarray, limits: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Corners of the regions that are all tissue and vary least, (n, 2)."""
    inside = (smooth > limits[0]) & (smooth < limits[1])
    corners = np.argwhere(_sums(inside) >= INSIDE * REGION**2)
    if not len(corners):
        return corners
    corners = corners[rng.integers(len(corners), size=CANDIDATES)]
    about = smooth - np.mean(limits)  # small numbers, for the sake of the difference of squares
    mean, square = (_sums(v)[tuple(corners.T)] / REGION**2 for v in (about, about**2))
    return corners[np.argsort(square - mean**2, kind="stable")[:KEPT]]


def _sums(plane: np.ndarray) -> np.ndarray:
    """Sum over the region at each corner, float64."""
    total = np.pad(plane.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    n = REGION
    return total[n:, n:] - total[:-n, n:] - total[n:, :-n] + total[:-n, :-n]


@lru_cache(maxsize=1)
def _rings() -> np.ndarray:
    """The ring of every frequency of a region, the corners in the last; -1 for the lowest."""
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(REGION), np.fft.fftfreq(REGION)))
    last = len(CENTERS) - 1
    return np.where(radius < RINGS[0], -1, np.minimum(np.digitize(radius, RINGS) - 1, last))


@lru_cache(maxsize=1)
def _trend() -> np.ndarray:
    """Orthonormal basis of the planes over a region, (pixels, 3)."""
    rows, columns = (axis.ravel() for axis in np.indices((REGION, REGION)))
    terms = np.stack([np.ones(REGION**2), rows, columns], axis=1)
    return np.linalg.qr(terms)[0]
