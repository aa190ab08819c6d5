"""The lowest frequencies of the discrete cosine transform: a sharp edge in frequency."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsynth.diffusion.guidance.filters.base import FilterMethod


def dct_modes(length: int, count: int) -> Tensor:
    """The lowest `count` modes of the orthonormal DCT-II of `length` points, float64 (count, length)."""
    modes = torch.arange(count, dtype=torch.float64)[:, None]
    places = torch.arange(length, dtype=torch.float64) + 0.5
    rows = math.sqrt(2 / length) * torch.cos(math.pi / length * modes * places)
    rows[0] /= math.sqrt(2)
    return rows


def dct(length: int, factor: int) -> tuple[Tensor, Tensor]:
    """The lowest ceil(length / factor) modes (down, up)."""
    down = dct_modes(length, math.ceil(length / factor))
    return down, down.T


FILTER = FilterMethod(title="DCT, lowest frequencies", make=dct, rank=1, projector=True)
