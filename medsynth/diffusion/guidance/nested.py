"""Our default composition: every frequency in every pixel has one owner, so that nothing is corrected twice.

Full-frame references, ordered from coarse to fine, own disjoint bands: phi_1 y_1 + (phi_2 - phi_1) y_2
+ ... References with a weight map share the plane: theirs is W_s, the rest is the full-frame
references'. Unlike the sum of equation 4 it is stable whatever the references are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from medsynth.diffusion.guidance.bands import (
    Band,
    Composition,
    LowPassReference,
    all_shares,
    bounds,
    crop,
    filter_of,
    region_shares,
    summed,
)
from medsynth.registry import Method


def nested(references: Sequence[LowPassReference]) -> Composition:
    """Disjoint bands from coarse to fine; regions before the full frame.

    Band k reaches from factor n_(k-1) to n_k. It is taken from the image in which every region
    shows its own reference and the rest shows the coarsest full-frame reference that reaches that
    far; it acts where the owners of the pixel reach that far.
    """
    kinds = sorted({r.filter for r in references})
    if len(kinds) > 1:
        raise ValueError(
            f"nested composition needs one filter for all references, got {', '.join(kinds)}; "
            f"choose one of them or composition 'weighted'"
        )
    full = sorted((r for r in references if r.weights is None), key=lambda r: -r.factor)
    regions = [r for r in references if r.weights is not None]
    shares = region_shares(references)
    rest = 1 - summed(shares) if shares else None
    bands: dict[int, Band] = {}  # by factor, coarse to fine
    coarse = None
    for factor in sorted({r.factor for r in references}, reverse=True):
        fine = filter_of(references[0], factor)
        reaching = [f for f in full if f.factor <= factor]
        backgrounds = reaching or full[-1:]
        image = _composed_image(backgrounds[0] if backgrounds else None, regions, shares)
        weight = _reach(factor, bool(reaching), regions, shares, rest)
        box = bounds(weight)
        bands[factor] = Band(fine, coarse, fine.down(image), crop(weight, box), box)
        coarse = fine
    return Composition(
        bands=tuple(reversed(bands.values())),
        in_turn=True,
        asked=tuple(
            tuple(band for factor, band in bands.items() if factor >= r.factor) for r in references
        ),
        shares=all_shares(references, shares, rest),
        factors=tuple(r.factor for r in references),
    )


def _composed_image(
    background: LowPassReference | None,
    regions: Sequence[LowPassReference],
    shares: Sequence[Tensor],
) -> Tensor:
    """Every region's reference where it has its share, the background elsewhere (B, 1, H, W).

    Without a background the regions' references continue outside of them: a filter must not see an
    edge that no reference has.
    """
    if background is not None:
        image = background.reference
        return image + sum(
            share * (r.reference - image) for r, share in zip(regions, shares, strict=True)
        )
    total = summed([share + 1e-6 for share in shares])
    return summed(
        [(share + 1e-6) / total * r.reference for r, share in zip(regions, shares, strict=True)]
    )


def _reach(
    factor: int,
    background: bool,
    regions: Sequence[LowPassReference],
    shares: Sequence[Tensor],
    rest: Tensor | None,
) -> Tensor | None:
    """Where a band down to `factor` acts: the shares of those that reach it; None: everywhere."""
    reaching = [s for r, s in zip(regions, shares, strict=True) if r.factor <= factor]
    if background and len(reaching) == len(regions):
        return None
    owners = [*reaching, rest] if background and rest is not None else reaching
    return summed(owners)


COMPOSITION = Method(title="Nested bands, stable", make=nested, rank=1)
