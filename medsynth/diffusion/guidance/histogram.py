"""The values of an image are those of the reference: histogram matching as a condition.

In every step the estimate of the clean image is given the reference's histogram, by rank: its darkest
pixel gets the reference's darkest value, and so on. Where a value lies is left to the network and to
the other conditions, which have the last word.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medsynth.diffusion.guidance.base import ConditionMethod
from medsynth.diffusion.noise import Draw
from medsynth.diffusion.step import Step


class HistogramMatching:
    """The histogram of `reference` (B or 1, 1, H, W) in [-1, 1], taken over by the share `strength`."""

    name, space = "histogram", "x0"

    def __init__(self, reference: Tensor, *, strength: float = 1.0):
        if not 0 <= strength <= 1:
            raise ValueError(f"histogram: strength must lie in [0, 1], got {strength}")
        self.reference, self.strength = reference, strength
        self._values = reference.flatten(1).sort(dim=1).values

    def apply(self, x0: Tensor, step: Step) -> Tensor:
        """The pixels of `x0` in their order, with the reference's values; one without order stays."""
        flat = x0.flatten(1)
        values = self._values.expand(len(flat), -1)
        matched = torch.empty_like(flat).scatter_(1, flat.argsort(dim=1, stable=True), values)
        has_order = flat.amax(dim=1, keepdim=True) > flat.amin(dim=1, keepdim=True)
        return torch.where(has_order, flat.lerp(matched, self.strength), flat).reshape(x0.shape)

    def apply_noised(self, x: Tensor, step: Step, *, draw: Draw) -> Tensor:
        """`x` itself: this condition acts on the estimate of the clean image."""
        return x

    def conditioning(self, step: Step) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Nothing: networks are conditioned on low-pass images only."""
        return None

    def to(self, device: str) -> HistogramMatching:
        """The same condition with its tensors on `device`."""
        return HistogramMatching(self.reference.to(device), strength=self.strength)

    def errors(self, x0: Tensor) -> dict[str, list[float | None]]:
        """RMS difference of the sorted values over the image's standard deviation."""
        flat = x0.flatten(1)
        difference = flat.sort(dim=1).values - self._values
        error = difference.square().mean(dim=1).sqrt() / flat.std(dim=1).clamp(min=1e-12)
        return {self.name: list(error.tolist())}


CONDITION = ConditionMethod(
    title="Histogram of the reference",
    make=HistogramMatching,
    options={"strength": ((0.0, 1.0), 1.0, "how far values are moved to those of the reference")},
)
