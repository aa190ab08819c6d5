"""The resizer of ILVR (Choi et al. 2021): cubic reduction and enlargement, no projector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsynth.diffusion.guidance.filters.base import FilterMethod


def bicubic(length: int, factor: int) -> tuple[Tensor, Tensor]:
    """ILVR's resizer: antialiased cubic reduction to ceil(length / factor), cubic enlargement.

    Where factor does not divide, the small grid still spans the image: its pixels are length /
    ceil(length / factor) wide.
    """
    small = math.ceil(length / factor)
    return _resize(length, small), _resize(small, length)


def _resize(length: int, new_length: int) -> Tensor:
    """Cubic resampling with mirrored borders, float64 (new_length, length).

    Reducing stretches the kernel by the reduction (antialiasing); each row sums to 1.
    """
    step = length / new_length
    width = max(step, 1.0)
    centers = (torch.arange(new_length, dtype=torch.float64)[:, None] + 0.5) * step - 0.5
    reach = math.ceil(2 * width)
    places = centers.floor() + torch.arange(-reach, reach + 2, dtype=torch.float64)
    weights = _cubic((places - centers) / width)
    weights = weights / weights.sum(dim=1, keepdim=True)
    mirrored = places.long() % (2 * length)
    mirrored = torch.where(mirrored >= length, 2 * length - 1 - mirrored, mirrored)
    matrix = torch.zeros(new_length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, mirrored, weights)


def _cubic(x: Tensor) -> Tensor:
    """Keys 1981 with a = -0.5, the kernel of MATLAB's and ILVR's bicubic."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


FILTER = FilterMethod(title="Bicubic, as in ILVR", make=bicubic, rank=3)
