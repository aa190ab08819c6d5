"""Bands of frequencies, each with an owner and a place, and what several of them do to an image.

The pieces that every composition is made of; which bands there are is `composition`'s, `nested`'s and
`weighted`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.low_pass import LowPass
from medsynth.diffusion.noise import Draw, no_noise

EVERYWHERE = (slice(None), slice(None))


class LowPassReference(Protocol):
    """What a composition looks at: an image (B, 1, H, W), its filter, its weight map or None."""

    @property
    def reference(self) -> Tensor: ...

    @property
    def factor(self) -> int: ...

    @property
    def filter(self) -> str: ...

    @property
    def weights(self) -> Tensor | None: ...


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

    def correction(self, x: Tensor, *, abar: float, draw: Draw) -> Tensor:
        """weight * band(y_t - x) inside `box`, y_t the target noised to level `abar`.

        phi(y_t) = sqrt(abar) phi(y) + sqrt(1 - abar) phi(epsilon): only the noise is new.
        """
        target = abar**0.5 * self.target
        if abar < 1:
            target = target + (1 - abar) ** 0.5 * self.fine.white_noise(draw)
        return self._passed(target - self.fine.down(x), self.weight, self.box)

    def of_target(self) -> Tensor:
        """band(y) without the weight, (B, 1, H, W)."""
        return self._passed(self.target)

    def missing(self, x: Tensor) -> Tensor:
        """band(y - x) without the weight, (B, 1, H, W)."""
        return self._passed(self.target - self.fine.down(x))

    def of_image(self, x: Tensor) -> Tensor:
        """weight * band(x), (B, 1, H, W)."""
        passed = torch.zeros_like(x)
        passed[(..., *self.box)] = self._passed(self.fine.down(x), self.weight, self.box)
        return passed

    def _passed(
        self,
        coefficients: Tensor,
        weight: Tensor | None = None,
        box: tuple[slice, slice] = EVERYWHERE,
    ) -> Tensor:
        """weight * band of these coefficients of phi_fine in the pixels of `box`."""
        if self.coarse is not None and self.fine.factor == 1:
            # The coefficients are the pixels: the filter itself is cheaper than its square matrices.
            coefficients = coefficients - self.coarse(coefficients)
        elif self.coarse is not None:
            rows, columns = _coarse_part(self.coarse, self.fine)
            rows, columns = (m.to(coefficients) for m in (rows, columns))
            coefficients = coefficients - rows @ coefficients @ columns.T
        image = self.fine.up(coefficients, rows=box[0], columns=box[1])
        return image if weight is None else weight * image


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
    the low-pass image that it shall have; `shares`, its part of the plane; `factors`.
    """

    bands: tuple[Band, ...]
    in_turn: bool
    asked: tuple[tuple[Band, ...], ...]
    shares: tuple[Tensor, ...]
    factors: tuple[int, ...]

    def apply(self, x: Tensor, *, abar: float = 1.0, draw: Draw = no_noise) -> Tensor:
        """x with its low frequencies replaced, at noise level `abar` (1: a clean image)."""
        result = x.clone()
        for band in self.bands:
            source = result if self.in_turn else x
            correction = band.correction(source, abar=abar, draw=draw)
            result[(..., *band.box)] += correction
        return result

    def missing(self, s: int, x: Tensor) -> Tensor:
        """What x lacks of the low-pass image of reference `s`, (B, 1, H, W)."""
        return summed([band.missing(x) for band in self.asked[s]])

    def conditioning(self) -> tuple[Tensor, Tensor]:
        """In each pixel the low-pass image and the factor of the reference with the largest share.

        Both (B, 1, H, W); factor 0 (and image 0) where no reference has any. The finer one wins
        a tie.
        """
        order = sorted(range(len(self.factors)), key=lambda s: self.factors[s])
        low_pass_images = [summed([band.of_target() for band in self.asked[s]]) for s in order]
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


def simultaneous(references: Sequence[LowPassReference], maps: Sequence[Tensor]) -> Composition:
    """All corrections from the same x, each with its own filter and map."""
    bands = []
    for reference, weight in zip(references, maps, strict=True):
        fine = filter_of(reference, reference.factor)
        box = bounds(weight)
        target = fine.down(reference.reference)
        bands.append(Band(fine, None, target, crop(weight, box), box))
    return Composition(
        bands=tuple(bands),
        in_turn=False,
        asked=tuple((band,) for band in bands),
        shares=tuple(maps),
        factors=tuple(r.factor for r in references),
    )


def filter_of(reference: LowPassReference, factor: int) -> LowPass:
    return low_pass.build(reference.filter, size=reference.reference.shape[-2:], factor=factor)


def summed(parts: Sequence[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    return sum(parts[1:], start=0 + parts[0])


def region_shares(references: Sequence[LowPassReference]) -> list[Tensor]:
    """The weight maps of the regions, divided by their sum where regions overlap beyond 1."""
    maps = [r.weights for r in references if r.weights is not None]
    if not maps:
        return []
    total = summed(maps).clamp(min=1)
    return [weights / total for weights in maps]


def all_shares(
    references: Sequence[LowPassReference], shares: Sequence[Tensor], rest: Tensor | None
) -> tuple[Tensor, ...]:
    """The share of every reference in the order given; full-frame ones have what is left."""
    if rest is None:
        rest = torch.ones_like(references[0].reference[:1])
    remaining = iter(shares)
    return tuple(rest if r.weights is None else next(remaining) for r in references)


def bounds(weight: Tensor | None) -> tuple[slice, slice]:
    """The rows and columns that hold all weight of the batch."""
    if weight is None:
        return EVERYWHERE
    used = (weight > 0).flatten(0, 1).any(dim=0)
    return _extent(used.any(dim=1)), _extent(used.any(dim=0))


def _extent(used: Tensor) -> slice:
    indices = used.nonzero().flatten().tolist()
    return slice(indices[0], indices[-1] + 1) if indices else slice(0, 0)


def crop(weight: Tensor | None, box: tuple[slice, slice]) -> Tensor | None:
    return None if weight is None else weight[(..., *box)]
