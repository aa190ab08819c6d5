"""What a reference with a factor says, as an image of its own on a grid that much coarser."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.filters.dct import dct_modes

FILTER = "dct"


def reduced(image: Tensor, factor: int) -> Tensor:
    """phi_n(image) on its own grid: (..., H, W) to (..., ceil(H / n), ceil(W / n)), same units."""
    size = image.shape[-2:]
    modes = low_pass.build(FILTER, size=size, factor=factor).down(image)
    rows, columns = (dct_modes(n, n).to(modes) for n in modes.shape[-2:])
    return rows.T @ modes @ columns * _scale(modes.shape[-2:], size)


def enlarged(image: Tensor, factor: int, *, size: Sequence[int]) -> Tensor:
    """The full image (..., *size) whose reduction is `image`: `reduced` undone, phi_n(x) = x."""
    rows, columns = (dct_modes(n, n).to(image) for n in image.shape[-2:])
    modes = rows @ image @ columns.T / _scale(image.shape[-2:], size)
    return low_pass.build(FILTER, size=size, factor=factor).up(modes)


def reduced_size(size: Sequence[int], factor: int) -> tuple[int, int]:
    """(H, W) of the low-pass image's grid."""
    return math.ceil(size[0] / factor), math.ceil(size[1] / factor)


def _scale(small: Sequence[int], size: Sequence[int]) -> float:
    """Orthonormal modes grow with the grid; values shall not."""
    return math.sqrt(small[0] * small[1] / (size[0] * size[1]))
