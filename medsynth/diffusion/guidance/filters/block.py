"""Means of square blocks: what a coarser image shows."""

from __future__ import annotations

import torch
from torch import Tensor

from medsynth.diffusion.guidance.filters.base import FilterMethod


def block(length: int, factor: int) -> tuple[Tensor, Tensor]:
    """Means of blocks of `factor` pixels; the last block is shorter where factor does not divide."""
    blocks = torch.arange(length) // factor
    up = torch.nn.functional.one_hot(blocks).to(torch.float64)
    return (up / up.sum(dim=0)).T, up


FILTER = FilterMethod(title="Means of blocks", make=block, rank=2, projector=True)
