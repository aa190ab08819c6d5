"""How images become conditions: the one object that a generator asks, and that another can replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from medsynth.diffusion.guidance.base import Condition
from medsynth.diffusion.guidance.ilvr import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.known_region import KnownRegion


@dataclass(frozen=True)
class ReferenceGuidance:
    """Low-frequency guidance as `composition`, `filter` and `guidance` of a request describe it.

    A class with the same two methods can stand in its place, such as by `guidance` in the MONAI bundle.
    """

    composition: str = "nested"
    filter: str = "dct"
    space: str = "x0"

    def reference(
        self,
        name: str,
        image: Tensor,
        factor: int,
        *,
        weights: Tensor | None = None,
        stop_sigma: float | None = None,
        stop_fraction: float | None = None,
    ) -> LowFrequency:
        """One reference: `image` (B, 1, H, W) in [-1, 1]; see `LowFrequency`."""
        return LowFrequency(
            name,
            image,
            factor,
            weights=weights,
            stop_sigma=stop_sigma,
            stop_fraction=stop_fraction,
            filter=self.filter,
        )

    def conditions(
        self, references: Sequence[LowFrequency], known: Tensor | None = None
    ) -> list[Condition]:
        """All references as one condition, and the pixels that are known.

        Args:
            references: what `reference` made, the anatomy first.
            known: (B, 1, H, W), 1 where the pixels of the anatomy are kept, 0 where they are new.

        Raises:
            ValueError: a composition that would diverge.
        """
        guidance = LowFrequencyGuidance(references, composition=self.composition, space=self.space)
        if known is None:
            return [guidance]
        anatomy = references[0].reference
        return [guidance, KnownRegion(anatomy, known, space=self.space, name="background")]
