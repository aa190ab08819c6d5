"""A composition whose maps are a partition of unity: references share a pixel by their weights."""

from __future__ import annotations

from collections.abc import Sequence

from medsynth.diffusion.guidance.bands import (
    Composition,
    LowPassReference,
    all_shares,
    region_shares,
    simultaneous,
    summed,
)
from medsynth.diffusion.guidance.composition import largest_eigenvalue
from medsynth.registry import Method


def weighted(references: Sequence[LowPassReference]) -> Composition:
    """Each reference with its own filter; full-frame references share what the regions leave.

    The maps add up to 1, less what it takes to keep the largest eigenvalue at 1.
    """
    shares = region_shares(references)
    rest = 1 - summed(shares) if shares else None
    full = len(references) - len(shares)
    owned = all_shares(references, shares, rest)
    maps = [
        m if r.weights is not None else m / full for r, m in zip(references, owned, strict=True)
    ]
    composition = simultaneous(references, maps)
    value = largest_eigenvalue(composition) if shares else 1.0
    if value > 1:  # hard edges between filters of different kinds or factors: 1.00 to 1.02
        composition = simultaneous(references, [m / value for m in maps])
    return composition


COMPOSITION = Method(title="Weighted mean", make=weighted, rank=3)
