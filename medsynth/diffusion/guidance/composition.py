"""Eq. 4: several references at once, x + sum_s W_s (phi_s(y_s,t) - phi_s(x)), and when it is stable.

Each correction is equation 3 in its own pixels (equation 5). Where the bands of references overlap, the
sum corrects twice: it is stable only while the largest eigenvalue of sum_s W_s phi_s is at most 1, and
refused beyond. The other ways to compose have files of their own: `nested`, our default, and `weighted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medsynth.diffusion.guidance.bands import Composition, LowPassReference, simultaneous, summed
from medsynth.domains.methods import COMPOSITIONS
from medsynth.registry import Method

EIGENVALUE_TOLERANCE = 1e-3
Filter = Callable[[Tensor], Tensor]


def sum_of_corrections(
    x: Tensor, conditions: Sequence[tuple[Tensor | float, Filter, Tensor]]
) -> Tensor:
    """Equation 4 for conditions (W_s, phi_s, y_s,t), pixel by pixel as it is printed.

    What `literal_sum` composes does the same on the filters' small grids; a test holds them equal.
    """
    return x + sum(W * (phi(y_t) - phi(x)) for W, phi, y_t in conditions)  # Eq. 4


def compose(references: Sequence[LowPassReference], *, kind: str) -> Composition:
    """The composition called `kind` (nested, sum, weighted) of at least one reference.

    Raises:
        ValueError: unknown kind; `sum` that would diverge; `nested` with several filter kinds.
    """
    if kind not in COMPOSITIONS:
        raise ValueError(f"unknown composition {kind!r}, expected one of {', '.join(COMPOSITIONS)}")
    composition: Composition = COMPOSITIONS[kind].load().make(references)
    return composition


def literal_sum(references: Sequence[LowPassReference]) -> Composition:
    """Equation 4 as printed.

    Raises:
        ValueError: the largest eigenvalue of sum_s W_s phi_s exceeds 1: the correction would
            overshoot where bands overlap and grow from step to step.
    """
    ones = torch.ones_like(references[0].reference[:1])
    maps = [ones if r.weights is None else r.weights for r in references]
    composition = simultaneous(references, maps)
    value = largest_eigenvalue(composition)
    if value > 1 + EIGENVALUE_TOLERANCE:
        raise ValueError(
            f"composition 'sum' would diverge: the largest eigenvalue of sum_s W_s phi_s must be "
            f"<= 1, got {value:.3f}, because references overlap; use composition 'nested', or "
            f"weight maps that add up to at most 1"
        )
    return composition


def largest_eigenvalue(composition: Composition, *, iterations: int = 100) -> float:
    """Spectral radius of sum_s W_s phi_s over the batch, by power iteration.

    It starts near a constant image, which every filter keeps. The growth is averaged over the last
    third of the iterations, since the operator is not symmetric and single growths may overshoot.
    """
    like = torch.zeros_like(composition.asked[0][0].of_target())
    fresh = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=like.dtype)
    x = 1 + 0.1 * fresh.to(like.device)
    logs = []
    for _ in range(iterations):
        x = x / x.flatten(1).norm(dim=1).clamp(min=1e-30).reshape(-1, 1, 1, 1)
        x = summed([band.of_image(x) for band in composition.bands])
        logs.append(x.flatten(1).norm(dim=1).clamp(min=1e-30).log())
    return float(torch.stack(logs[-iterations // 3 :]).mean(dim=0).exp().max())


COMPOSITION = Method(name="sum", title="Sum, equation 4 of the paper", make=literal_sum, rank=2)
