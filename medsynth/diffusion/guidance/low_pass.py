"""Low-pass filters phi_n: what a reference with factor n says about an image.

Every filter is separable: `down` to a grid of ceil(H / n) x ceil(W / n) numbers and `up` again, two
small matrix products each; each kind is one file in `filters`. `dct` and `block` are orthogonal
projectors: phi(phi(x)) = phi(x), and white noise stays white on the small grid, so that it can be
drawn there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from medsynth.diffusion.guidance.filters.base import FilterMethod
from medsynth.diffusion.noise import Draw
from medsynth.domains.methods import FILTERS


class LowPass:
    """phi_n for images of one size: `phi(x)`, `phi.down(x)`, `phi.up(coefficients)`.

    Built by `build`. `projector` says whether phi is an orthogonal projector.
    """

    def __init__(self, kind: str, *, size: tuple[int, int], factor: int):
        self.kind, self.size, self.factor = kind, size, factor
        declared: FilterMethod = FILTERS[kind].load()
        self.projector = factor == 1 or declared.projector
        # factor 1 lets everything pass: its coefficients are the pixels, whatever the kind
        axis = declared.make if factor > 1 else _identity
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


def _each(x: Tensor, matrix: Tensor) -> Tensor:
    """`x @ matrix`, image by image: folded into one product, BLAS may round by the batch's size."""
    return x @ matrix.expand(*x.shape[:-2], *matrix.shape)
