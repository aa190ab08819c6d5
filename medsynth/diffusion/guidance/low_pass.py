"""Low-pass filters phi_n: what a reference with factor n says about an image.

Every filter is separable: `down` to a grid of ceil(H / n) x ceil(W / n) numbers and `up` again, two
small matrix products each. `dct` and `block` are orthogonal projectors: phi(phi(x)) = phi(x), and
white noise stays white on the small grid, so that it can be drawn there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from medsynth.diffusion.noise import Draw
from medsynth.domains.methods import FILTERS


class LowPass:
    """phi_n for images of one size: `phi(x)`, `phi.down(x)`, `phi.up(coefficients)`.

    Built by `build`. `projector` says whether phi is an orthogonal projector.
    """

    def __init__(self, kind: str, *, size: tuple[int, int], factor: int):
        self.kind, self.size, self.factor = kind, size, factor
        self.projector = factor == 1 or kind != "bicubic"
        # factor 1 lets everything pass: its coefficients are the pixels, whatever the kind
        axis = FILTERS[kind].load() if factor > 1 else _identity
        self.matrices = tuple(axis(length, factor) for length in size)
        self._cast = lru_cache(maxsize=4)(self._cast_matrices)

    # Kept for later, also for training, which must not meet tensors made in inference mode.
    @torch.inference_mode(False)
    def _cast_matrices(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        (down_rows, up_rows), (down_columns, up_columns) = self.matrices
        matrices = (down_rows, down_columns.T, up_rows, up_columns.T)
        return tuple(matrix.to(device, dtype).contiguous() for matrix in matrices)

    def __call__(self, x: Tensor) -> Tensor:
        """phi_n(x) for x (..., H, W)."""
        return x if self.factor == 1 else self.up(self.down(x))

    def down(self, x: Tensor) -> Tensor:
        """(..., H, W) to (..., ceil(H / n), ceil(W / n))."""
        if self.factor == 1:
            return x
        rows, columns, _, _ = self._cast(x.dtype, x.device)
        return rows @ _each(x, columns)

    def up(
        self,
        coefficients: Tensor,
        *,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> Tensor:
        """Back to (..., H, W), or only to these `rows` and `columns` of it."""
        if self.factor == 1:
            return coefficients[..., rows, columns]
        _, _, up_rows, up_columns = self._cast(coefficients.dtype, coefficients.device)
        return up_rows[rows] @ _each(coefficients, up_columns[:, columns])

    def white_noise(self, draw: Draw) -> Tensor:
        """`down` of white noise: (B, 1, ceil(H / n), ceil(W / n)), drawn where it is cheapest.

        `draw(shape)` gives N(0, 1) of (B, *shape). The rows of a projector's matrices are
        orthogonal, so its coefficients are independent with those rows' norms.
        """
        if not self.projector or self.factor == 1:
            return self.down(draw((1, *self.size)))
        (rows, _), (columns, _) = self.matrices
        fresh = draw((1, len(rows), len(columns)))
        scale = rows.norm(dim=1)[:, None] * columns.norm(dim=1)
        return scale.to(fresh.device, fresh.dtype) * fresh


def build(kind: str, *, size: Sequence[int], factor: int) -> LowPass:
    """The filter `kind` (dct, block, bicubic) with this `factor` for images of `size` (H, W).

    Raises:
        ValueError: unknown kind; factor not an integer in [1, min(H, W)].
    """
    if kind not in FILTERS:
        raise ValueError(f"unknown filter {kind!r}, expected one of {', '.join(FILTERS)}")
    whole = isinstance(factor, int) and not isinstance(factor, bool)
    if not whole or not 1 <= factor <= min(size):
        raise ValueError(
            f"factor must be an integer from 1 (follow the reference exactly) to {min(size)} (the "
            f"image's shorter side), got {factor!r}; try {min(8, min(size))}"
        )
    rows, columns = size
    return _build(kind, (rows, columns), factor)


def low_pass(image: Tensor, *, factor: int, kind: str = "dct") -> Tensor:
    """phi_factor(image) for an image (..., H, W) of any size."""
    return build(kind, size=image.shape[-2:], factor=factor)(image)


@lru_cache(maxsize=64)
def _build(kind: str, size: tuple[int, int], factor: int) -> LowPass:
    return LowPass(kind, size=size, factor=factor)


def _identity(length: int, factor: int) -> tuple[Tensor, Tensor]:
    unchanged = torch.eye(length, dtype=torch.float64)
    return unchanged, unchanged


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


def block(length: int, factor: int) -> tuple[Tensor, Tensor]:
    """Means of blocks of `factor` pixels; the last block is shorter where factor does not divide."""
    blocks = torch.arange(length) // factor
    up = torch.nn.functional.one_hot(blocks).to(torch.float64)
    return (up / up.sum(dim=0)).T, up


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


def _each(x: Tensor, matrix: Tensor) -> Tensor:
    """`x @ matrix`, image by image: folded into one product, BLAS may round by the batch's size."""
    return x @ matrix.expand(*x.shape[:-2], *matrix.shape)
