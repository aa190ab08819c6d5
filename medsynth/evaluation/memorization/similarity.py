"""How near an image is to others, whatever augmentation did to it: flips, shifts, mild intensity.

Four measures, each 1 for a copy and near 0 for another patient's image:

whole    correlation of the coarse band, at the best shift: the anatomy as a whole
fine     phase correlation of the band above what guidance at factor 8 fixes: the network's own detail
patch    the same on overlapping windows of the image, each registered on its own: a copied region
feature  correlation of histograms of oriented gradients: shape, also after small turns and scaling

Phase correlation is that of Kuglin & Hines (1975): all frequencies weigh the same, so that neither
contrast nor the strong edge of the body decides. Gradient histograms are those of Dalal & Triggs (2005).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

MEASURES = ("whole", "fine", "patch", "feature")
# Longest side of the images that are compared, pixels.
COARSE_SIDE, FINE_SIDE = 128, 192
# Cycles per image side: the coarse band; the fine one, above the cut-off of guidance with factor 8 at
# 512 x 512 (32 cycles).
COARSE_CYCLES = (1.5, 20.0)
FINE_CYCLES = (36.0, 90.0)
# Largest shift that is looked for, as a share of the side; training shifts by a sixteenth.
SHIFT = 1 / 8
# Windows of the patch measure: side and step as a share of the image's.
PATCH, PATCH_STEP = 3 / 8, 5 / 24
# A window whose fine band is weaker than this share of the image's mean says nothing (air).
EMPTY = 0.3
# Frequencies below this share of the mean strength count less in the phase correlation.
WEAK = 0.1
CELLS, BINS = 16, 8
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """For one image: per measure the similarity to every one of the others, (M,) in [-1, 1]."""

    scores: dict[str, np.ndarray]

    def best(self, allowed: np.ndarray) -> dict[str, tuple[int, float]]:
        """Per measure the index of the nearest among `allowed` (M,) bool, and how near it is."""
        found = {}
        for name, scores in self.scores.items():
            masked = np.where(allowed, scores, -np.inf)
            index = int(masked.argmax())
            found[name] = (index, float(masked[index]))
        return found


class ReferenceIndex:
    """The images that others are compared with, once transformed.

    Args:
        images: (M, H, W) in physical units.
        to_unit: the preset's map to [-1, 1].
    """

    def __init__(self, images: np.ndarray, *, to_unit: Callable[[np.ndarray], np.ndarray]):
        if images.ndim != 3 or not len(images):
            raise ValueError(f"images must be (M, H, W) with M > 0, got {images.shape}")
        if max(images.shape[1:]) < FINE_SIDE:
            raise ValueError(
                f"images must have a side of at least {FINE_SIDE} pixels for their detail to be "
                f"compared, got {images.shape[1]} x {images.shape[2]}"
            )
        self.size, self.to_unit = tuple(images.shape[1:]), to_unit
        parts: dict[str, list[Tensor]] = {}
        for start in range(0, len(images), CHUNK):
            for name, value in self._describe(images[start : start + CHUNK]).items():
                parts.setdefault(name, []).append(value)
        self.described = {name: torch.cat(values) for name, values in parts.items()}
        self.mean_feature = self.described["feature"].mean(0)

    def __len__(self) -> int:
        return len(self.described["whole"])

    def compare(self, image: np.ndarray) -> Nearest:
        """The image (H, W) in physical units against all of the reference index, in both orientations.

        Raises:
            ValueError: it has another size.
        """
        if image.shape != self.size:
            raise ValueError(
                f"the image is {image.shape[0]} x {image.shape[1]}, those it is compared with are "
                f"{self.size[0]} x {self.size[1]}"
            )
        both = [self._against(np.ascontiguousarray(i)) for i in (image, image[:, ::-1])]
        return Nearest({name: np.maximum(both[0][name], both[1][name]) for name in MEASURES})

    def only(self, index: int) -> ReferenceIndex:
        """The one image of this index, compared as it is among all."""
        one = copy.copy(self)
        one.described = {name: value[index : index + 1] for name, value in self.described.items()}
        return one

    def _against(self, image: np.ndarray) -> dict[str, np.ndarray]:
        ours = self._describe(image[None])
        scores = {name: self._shifted(ours[name], name) for name in ("whole", "fine")}
        scores["patch"] = self._patches(ours["patch"][0], ours["energy"][0])
        theirs = self.described["feature"] - self.mean_feature
        mine = ours["feature"][0] - self.mean_feature
        scores["feature"] = functional.cosine_similarity(theirs, mine[None])
        return {name: values.numpy() for name, values in scores.items()}

    def _shifted(self, spectrum: Tensor, name: str) -> Tensor:
        """Best correlation over the shifts that are allowed, (M,)."""
        height, width = _reduced(self.size, COARSE_SIDE if name == "whole" else FINE_SIDE)
        found = [
            _peak(part * spectrum.conj(), (height, width), reach=SHIFT)
            for part in self.described[name].split(CHUNK)
        ]
        return torch.cat(found)

    def _patches(self, spectra: Tensor, energy: Tensor) -> Tensor:
        """Best window, each at the best shift, (M,). `spectra` (P, h, w / 2 + 1)."""
        side = _window_side(self.size)
        reach = SHIFT / PATCH  # the same pixels, as a share of the window
        best = torch.full((len(self),), -1.0)
        for index in torch.nonzero(energy > EMPTY)[:, 0].tolist():
            theirs = self.described["patch"][:, index]
            found = [
                _peak(part * spectra[index].conj(), side, reach=reach)
                for part in theirs.split(CHUNK)
            ]
            best = torch.maximum(best, torch.cat(found))
        return best

    def _describe(self, images: np.ndarray) -> dict[str, Tensor]:
        """What the measures compare, for images (B, H, W)."""
        unit = torch.from_numpy(np.ascontiguousarray(self.to_unit(images)))
        coarse, fine = _reduce(unit, COARSE_SIDE), _reduce(unit, FINE_SIDE)
        windows, energy = _windows(fine)
        return {
            "whole": _correlating(coarse, COARSE_CYCLES),
            "fine": _phase_correlating(fine, FINE_CYCLES),
            "patch": windows,
            "energy": energy,
            "feature": gradient_histograms(coarse),
        }


def _reduced(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size of an image whose longest side is `side`; both even."""
    scale = side / max(size)
    height, width = (max(2 * round(n * scale / 2), 2) for n in size)
    return height, width


def _reduce(images: Tensor, side: int) -> Tensor:
    size = _reduced((images.shape[1], images.shape[2]), side)
    return functional.interpolate(images[:, None], size, mode="area")[:, 0]


def _radius(size: tuple[int, int], side: int) -> Tensor:
    """Cycles per `side` pixels of every frequency of rfft2, (h, w / 2 + 1)."""
    rows, columns = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
    return side * torch.hypot(rows[:, None], columns)


def _unit_energy(spectrum: Tensor) -> Tensor:
    """Scaled so that the correlation of an image with itself is 1 at shift 0."""
    twice = torch.full((spectrum.shape[-1],), 2.0)
    twice[0] = twice[-1] = 1.0  # columns that rfft2 does not fold
    energy = (spectrum.abs().square() * twice).sum((-2, -1), keepdim=True)
    return spectrum / energy.sqrt().clamp_min(1e-12)


def _correlating(images: Tensor, band: tuple[float, float]) -> Tensor:
    radius = _radius((images.shape[1], images.shape[2]), max(images.shape[1:]))
    spectrum = torch.fft.rfft2(images) * ((radius >= band[0]) & (radius <= band[1]))
    return _within(band[1], _unit_energy(spectrum), radius)


def _phase_correlating(images: Tensor, band: tuple[float, float]) -> Tensor:
    """Every frequency of the band at the same strength: only phases count.

    Frequencies that are weak for this band count less: theirs are the phases of the window's edge.
    """
    radius = _radius((images.shape[1], images.shape[2]), FINE_SIDE)
    spectrum = torch.fft.rfft2(images) * ((radius >= band[0]) & (radius <= band[1]))
    strength = spectrum.abs()
    usual = strength.mean((-2, -1), keepdim=True).clamp_min(1e-12)
    return _within(band[1], _unit_energy(spectrum / (strength + WEAK * usual)), radius)


def _within(highest: float, spectrum: Tensor, radius: Tensor) -> Tensor:
    """`spectrum` without the last columns, which are zero above the frequency `highest`."""
    return spectrum[..., : int((radius[0] <= highest).sum())].clone()


def _window_side(size: tuple[int, int]) -> tuple[int, int]:
    height, width = (min(2 * round(FINE_SIDE * PATCH / 2), n) for n in _reduced(size, FINE_SIDE))
    return height, width


def _windows(images: Tensor) -> tuple[Tensor, Tensor]:
    """Spectra of overlapping windows (B, P, h, w / 2 + 1), and their energy relative to the mean."""
    height, width = _window_side((images.shape[1], images.shape[2]))
    step = round(FINE_SIDE * PATCH_STEP)
    starts = [
        sorted({min(s, n - m) for s in range(0, max(n - m, 1) + step, step)})
        for n, m in zip(images.shape[1:], (height, width), strict=True)
    ]
    taper = torch.hann_window(height)[:, None] * torch.hann_window(width)
    cut = [images[:, r : r + height, c : c + width] for r in starts[0] for c in starts[1]]
    windows = torch.stack([(w - w.mean((1, 2), keepdim=True)) * taper for w in cut], dim=1)
    flat = windows.flatten(0, 1)
    radius = _radius((height, width), FINE_SIDE)
    inside = (radius >= FINE_CYCLES[0]) & (radius <= FINE_CYCLES[1])
    energy = (torch.fft.rfft2(flat).abs().square() * inside).sum((-2, -1))
    energy = energy.unflatten(0, windows.shape[:2])
    energy = energy / energy.mean(1, keepdim=True).clamp_min(1e-12)
    return _phase_correlating(flat, FINE_CYCLES).unflatten(0, windows.shape[:2]), energy


def _peak(product: Tensor, size: tuple[int, int], *, reach: float) -> Tensor:
    """Largest correlation within shifts of `reach` times the size, (B,).

    An inverse FFT in two steps, of which only the rows and columns within reach are finished.
    """
    rows, columns = (max(int(n * reach), 1) for n in size)
    down = torch.fft.ifft(product, dim=-2)
    near = torch.cat([down[..., : rows + 1, :], down[..., -rows:, :]], dim=-2)
    surface = torch.fft.irfft(near, n=size[1])
    within = torch.cat([surface[..., : columns + 1], surface[..., -columns:]], dim=-1)
    return within.flatten(1).amax(1) * (size[0] * size[1])


def gradient_histograms(images: Tensor) -> Tensor:
    """Histograms of oriented gradients of images (B, h, w): (B, CELLS * CELLS * BINS), root-scaled."""
    row, column = torch.gradient(images, dim=(1, 2))
    strength = torch.hypot(row, column)
    turn = torch.atan2(row, column).remainder(torch.pi) / torch.pi * BINS
    planes = [
        strength * (1 - (turn - b).abs().minimum(BINS - (turn - b).abs())).clamp_min(0)
        for b in range(BINS)
    ]
    cells = functional.adaptive_avg_pool2d(torch.stack(planes, 1), (CELLS, CELLS))
    return cells.flatten(1).sqrt()
