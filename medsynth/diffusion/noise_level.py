"""The image noise level: what a low-pass image does not show, and a synthetic neighbor should share.

Dose and reconstruction kernel make the noise of one series two or three times that of another. A
network that is not conditioned on it draws any of them; conditioned on that of the anatomy's own
slice, it draws what belongs beside it. Two numbers are used: the deviation of what Gaussians of 0.6 and 1.5 pixels remove
(a sharp kernel raises the first more), in middling tissue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

SIGMAS = (0.6, 1.5)  # pixels
MIDDLE = 0.45  # |unit value|: soft tissue, -200 to 300 HU, of the preset lung_ct
AIR = -0.9
PLAIN = 9  # pixels around that are of the same kind
FEWEST = 400  # pixels that a level is measured in
UNKNOWN = math.nan
# Beyond so many deviations below what was trained on, an image has no noise of its own.
SMOOTH = 4.0
FARTHEST = 2.0


def image_noise_levels(images: Tensor) -> Tensor:
    """Deviation of the finest and of fine detail in each of `images` (B, 1, H, W) in [-1, 1], (B, 2).

    From the median magnitude, so that edges and vessels hardly count; in soft tissue, or where there
    is little of it in all that is not air. NaN for an image with less than `FEWEST` such pixels.
    """
    smooth = [_blurred(images, sigma) for sigma in SIGMAS]
    inside = _plain(smooth[-1].abs() < MIDDLE)
    rows = []
    for b, image in enumerate(images):
        mask = inside[b]
        if mask.sum() < FEWEST:
            mask = _plain(smooth[-1][b : b + 1] > AIR)[0]
        rows.append([_deviation(image - s[b], mask) for s in smooth])
    return torch.tensor(rows, dtype=torch.float32, device=images.device)


def _deviation(detail: Tensor, mask: Tensor) -> float:
    values = detail[mask]
    return 1.4826 * float(values.abs().median()) if len(values) >= FEWEST else UNKNOWN


def _plain(mask: Tensor) -> Tensor:
    """Where all pixels around are of the mask too."""
    other = (~mask).float()
    for size in ((PLAIN, 1), (1, PLAIN)):  # a square, one axis after the other
        other = functional.max_pool2d(other, size, stride=1, padding=tuple(n // 2 for n in size))
    return other == 0


def _blurred(images: Tensor, sigma: float) -> Tensor:
    kernel = _kernel(sigma).to(images)
    reach = len(kernel) // 2
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])


@lru_cache(maxsize=4)
def _kernel(sigma: float) -> Tensor:
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    return kernel / kernel.sum()


@dataclass(frozen=True)
class NoiseLevelScale:
    """Mean and deviation of the logarithm of both levels over the images trained on.

    Raises:
        ValueError: not two numbers each, or a deviation that is not above 0.
    """

    log_mean: Sequence[float]
    log_std: Sequence[float]

    def __post_init__(self) -> None:
        if not (_pair(self.log_mean) and _pair(self.log_std) and min(self.log_std) > 0):
            raise ValueError(
                f"noise_level needs two numbers in log_mean and two above 0 in log_std, got "
                f"{self.log_mean!r} and {self.log_std!r}"
            )

    def standard(self, levels: Tensor) -> Tensor:
        """What the network is conditioned on, of `levels` (B, 2): their logarithms, standardized, (B, 2).

        0, the typical level, where a level is unknown or far below all that was trained on (a
        phantom, a drawn low-pass image); at most `FARTHEST` deviations from it elsewhere.
        """
        mean, std = (torch.tensor(v, device=levels.device) for v in (self.log_mean, self.log_std))
        score = (levels.clamp(min=1e-12).log() - mean) / std
        known = (torch.isfinite(levels) & (score > -SMOOTH)).all(dim=1, keepdim=True)
        return torch.where(known, score.clamp(-FARTHEST, FARTHEST), 0.0)


def _pair(values: object) -> bool:
    """Whether they are two finite numbers."""
    return (
        isinstance(values, (list, tuple))
        and len(values) == 2
        and all(type(v) in (int, float) and math.isfinite(v) for v in values)
    )
