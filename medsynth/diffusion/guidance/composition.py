"""Several low-frequency references at once: which one rules which frequencies in which pixels.

Equation 4 of the method adds the corrections of all references, x + sum_s W_s (phi_s y_s - phi_s x).
Where bands overlap that corrects twice and oscillates; three ways to compose are offered:

nested    Every frequency in every pixel has one owner. Full-frame references, ordered from coarse to
          fine, own disjoint bands: phi_1 y_1 + (phi_2 - phi_1) y_2 + ... References with a weight
          map share the plane: theirs is W_s, the rest is the full-frame references'.
weighted  Each keeps its filter, the weight maps are made a partition of unity.
sum       Equation 4 as printed, refused where it would diverge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.low_pass import LowPass
from medsynth.diffusion.noise import Draw

EIGENVALUE_TOLERANCE = 1e-3
EVERYWHERE = (slice(None), slice(None))


class Reference(Protocol):
    """What a composition looks at: an image (B, 1, H, W), its filter, its weight map or None."""

    reference: Tensor
    factor: int
    filter: str
    weights: Tensor | None


@dataclass(frozen=True)
class Band:
    """The frequencies that `fine` passes and `coarse` does not, in the pixels where `weight` > 0.

    As an operator: weight * phi_fine (1 - phi_coarse) phi_fine, which is phi_fine - phi_coarse where
    the filters are nested projectors. `target` holds phi_fine's coefficients of the image that the
    band is taken from. `box` (rows, columns) holds all pixels with weight; `weight` is cut to it.
    """

    fine: LowPass
    coarse: LowPass | None
    target: Tensor
    weight: Tensor | None
    box: tuple[slice, slice] = EVERYWHERE

    def correction(self, x: Tensor, *, abar: float, draw: Draw | None) -> Tensor:
        """weight * band(y_t - x) inside `box`, y_t the target noised to level `abar`.

        phi(y_t) = sqrt(abar) phi(y) + sqrt(1 - abar) phi(epsilon): only the noise is new.
        """
        target = abar**0.5 * self.target
        if abar < 1:
            target = target + (1 - abar) ** 0.5 * self.fine.white_noise(draw)
        return self._passed(target - self.fine.down(x))

    def of_target(self) -> Tensor:
        """band(y) without the weight, (B, 1, H, W)."""
        return self._unweighted()._passed(self.target)

    def missing(self, x: Tensor) -> Tensor:
        """band(y - x) without the weight, (B, 1, H, W)."""
        return self._unweighted()._passed(self.target - self.fine.down(x))

    def of_image(self, x: Tensor) -> Tensor:
        """weight * band(x), (B, 1, H, W)."""
        passed = torch.zeros_like(x)
        passed[(..., *self.box)] = self._passed(self.fine.down(x))
        return passed

    def _unweighted(self) -> Band:
        return replace(self, weight=None, box=EVERYWHERE)

    def _passed(self, coefficients: Tensor) -> Tensor:
        if self.coarse is not None:
            rows, columns = _coarse_part(self.coarse, self.fine)
            rows, columns = (m.to(coefficients) for m in (rows, columns))
            coefficients = coefficients - rows @ coefficients @ columns.T
        image = self.fine.up(coefficients, rows=self.box[0], columns=self.box[1])
        return image if self.weight is None else self.weight * image


@lru_cache(maxsize=64)
def _coarse_part(coarse: LowPass, fine: LowPass) -> tuple[Tensor, Tensor]:
    """phi_coarse seen from the coefficients of phi_fine, one square matrix per axis."""
    parts = []
    for axis in (0, 1):
        (down_c, up_c), (down_f, up_f) = coarse.matrices[axis], fine.matrices[axis]
        parts.append(down_f @ up_c @ down_c @ up_f)
    return parts[0], parts[1]


@dataclass(frozen=True)
class Composition:
    """What several references say together.

    `bands` act one after the other when `in_turn` (the coarsest last, so that it ends exact), else
    all at once on the same x. For each reference, in the order given: `asked`, the bands that make up
    the low band that it shall have; `shares`, its part of the plane; `factors`.
    """

    bands: tuple[Band, ...]
    in_turn: bool
    asked: tuple[tuple[Band, ...], ...]
    shares: tuple[Tensor, ...]
    factors: tuple[int, ...]

    def apply(self, x: Tensor, *, abar: float = 1.0, draw: Draw | None = None) -> Tensor:
        """x with its low frequencies replaced, at noise level `abar` (1: a clean image)."""
        result = x.clone()
        for band in self.bands:
            source = result if self.in_turn else x
            correction = band.correction(source, abar=abar, draw=draw)
            result[(..., *band.box)] += correction
        return result

    def missing(self, s: int, x: Tensor) -> Tensor:
        """What x lacks of the low band that reference `s` asks for, (B, 1, H, W)."""
        return sum(band.missing(x) for band in self.asked[s])

    def conditioning(self) -> tuple[Tensor, Tensor]:
        """In each pixel the low band and the factor of the reference with the largest share.

        Both (B, 1, H, W); factor 0 (and low band 0) where no reference has any. The finer one wins
        a tie.
        """
        order = sorted(range(len(self.factors)), key=lambda s: self.factors[s])
        low_pass_images = [sum(band.of_target() for band in self.asked[s]) for s in order]
        low_pass_image, factor_map, largest = (
            torch.zeros_like(low_pass_images[0]) for _ in range(3)
        )
        for s, own in zip(order, low_pass_images, strict=True):
            share = self.shares[s].expand_as(largest)
            ahead = share > largest
            low_pass_image = torch.where(ahead, own, low_pass_image)
            factor_map = torch.where(ahead, float(self.factors[s]), factor_map)
            largest = torch.where(ahead, share, largest)
        return low_pass_image, factor_map


def compose(references: Sequence[Reference], *, kind: str) -> Composition:
    """The composition called `kind` (nested, sum, weighted) of at least one reference.

    Raises:
        ValueError: unknown kind; `sum` that would diverge; `nested` with several filter kinds.
    """
    if kind not in COMPOSITIONS:
        raise ValueError(f"unknown composition {kind!r}, expected one of {', '.join(COMPOSITIONS)}")
    return COMPOSITIONS[kind](references)


def nested(references: Sequence[Reference]) -> Composition:
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
    shares = _region_shares(regions)
    rest = 1 - sum(shares) if shares else None
    bands: dict[int, Band] = {}  # by factor, coarse to fine
    coarse = None
    for factor in sorted({r.factor for r in references}, reverse=True):
        fine = _filter(references[0], factor)
        reaching = [f for f in full if f.factor <= factor]
        background = (reaching or full[-1:] or [None])[0]
        image = _composed_image(background, regions, shares)
        weight = _reach(factor, bool(reaching), regions, shares, rest)
        box = _bounds(weight)
        bands[factor] = Band(fine, coarse, fine.down(image), _crop(weight, box), box)
        coarse = fine
    return Composition(
        bands=tuple(reversed(bands.values())),
        in_turn=True,
        asked=tuple(
            tuple(band for factor, band in bands.items() if factor >= r.factor) for r in references
        ),
        shares=_all_shares(references, shares, rest),
        factors=tuple(r.factor for r in references),
    )


def weighted(references: Sequence[Reference]) -> Composition:
    """Each reference with its own filter; full-frame references share what the regions leave.

    The maps add up to 1, less what it takes to keep the largest eigenvalue at 1.
    """
    regions = [r for r in references if r.weights is not None]
    shares = _region_shares(regions)
    rest = 1 - sum(shares) if shares else None
    full = len(references) - len(regions)
    maps = _all_shares(references, shares, rest)
    maps = [m if r.weights is not None else m / full for r, m in zip(references, maps, strict=True)]
    composition = _simultaneous(references, maps)
    value = largest_eigenvalue(composition) if regions else 1.0
    if value > 1:  # hard edges between filters of different kinds or factors: 1.00 to 1.02
        composition = _simultaneous(references, [m / value for m in maps])
    return composition


def literal_sum(references: Sequence[Reference]) -> Composition:
    """Equation 4 as printed.

    Raises:
        ValueError: the largest eigenvalue of sum_s W_s phi_s exceeds 1: the correction would
            overshoot where bands overlap and grow from step to step.
    """
    ones = torch.ones_like(references[0].reference[:1])
    maps = [ones if r.weights is None else r.weights for r in references]
    composition = _simultaneous(references, maps)
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
        x = sum(band.of_image(x) for band in composition.bands)
        logs.append(x.flatten(1).norm(dim=1).clamp(min=1e-30).log())
    return float(torch.stack(logs[-iterations // 3 :]).mean(dim=0).exp().max())


def _simultaneous(references: Sequence[Reference], maps: Sequence[Tensor]) -> Composition:
    """All corrections from the same x, each with its own filter and map."""
    bands = []
    for reference, weight in zip(references, maps, strict=True):
        fine = _filter(reference, reference.factor)
        box = _bounds(weight)
        target = fine.down(reference.reference)
        bands.append(Band(fine, None, target, _crop(weight, box), box))
    return Composition(
        bands=tuple(bands),
        in_turn=False,
        asked=tuple((band,) for band in bands),
        shares=tuple(maps),
        factors=tuple(r.factor for r in references),
    )


def _filter(reference: Reference, factor: int) -> LowPass:
    size = tuple(reference.reference.shape[-2:])
    return low_pass.build(reference.filter, size=size, factor=factor)


def _region_shares(regions: Sequence[Reference]) -> list[Tensor]:
    """The weight maps, divided by their sum where regions overlap beyond 1."""
    if not regions:
        return []
    total = sum(r.weights for r in regions).clamp(min=1)
    return [r.weights / total for r in regions]


def _all_shares(
    references: Sequence[Reference], shares: Sequence[Tensor], rest: Tensor | None
) -> tuple[Tensor, ...]:
    """The share of every reference in the order given; full-frame ones have what is left."""
    if rest is None:
        rest = torch.ones_like(references[0].reference[:1])
    remaining = iter(shares)
    return tuple(rest if r.weights is None else next(remaining) for r in references)


def _composed_image(
    background: Reference | None, regions: Sequence[Reference], shares: Sequence[Tensor]
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
    total = sum(share + 1e-6 for share in shares)
    return sum(
        (share + 1e-6) / total * r.reference for r, share in zip(regions, shares, strict=True)
    )


def _reach(
    factor: int,
    background: bool,
    regions: Sequence[Reference],
    shares: Sequence[Tensor],
    rest: Tensor | None,
) -> Tensor | None:
    """Where a band down to `factor` acts: the shares of those that reach it; None: everywhere."""
    reaching = [s for r, s in zip(regions, shares, strict=True) if r.factor <= factor]
    if background and len(reaching) == len(regions):
        return None
    return sum(reaching) + rest if background and rest is not None else sum(reaching)


def _bounds(weight: Tensor | None) -> tuple[slice, slice]:
    """The rows and columns that hold all weight of the batch."""
    if weight is None:
        return EVERYWHERE
    used = (weight > 0).flatten(0, 1).any(dim=0)
    return _extent(used.any(dim=1)), _extent(used.any(dim=0))


def _extent(used: Tensor) -> slice:
    indices = used.nonzero().flatten().tolist()
    return slice(indices[0], indices[-1] + 1) if indices else slice(0, 0)


def _crop(weight: Tensor | None, box: tuple[slice, slice]) -> Tensor | None:
    return None if weight is None else weight[(..., *box)]


COMPOSITIONS = {"nested": nested, "sum": literal_sum, "weighted": weighted}
