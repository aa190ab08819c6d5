"""A region whose pixels are known: everything outside a lesion, say, is kept as the reference has it.

RePaint's conditioning (Lugmayr et al. 2022, eq. 8): known pixels come from the reference, noised to
the level of the sample, unknown ones from the sampler.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medsynth.diffusion.guidance.base import check_space
from medsynth.diffusion.noise import Draw
from medsynth.diffusion.step import Step


class KnownRegion:
    """Pixels that are known, weight 1, against those to be synthesized, weight 0.

    Args:
        reference: (B, 1, H, W) in [-1, 1].
        weights: (B or 1, 1, H, W) in [0, 1]; between the two the seam is blended.
        space: x0 or x_t (see `Condition`).
        name: what it is called in reports.

    Raises:
        ValueError: shapes that do not fit, weights outside [0, 1].
    """

    def __init__(
        self, reference: Tensor, weights: Tensor, *, space: str = "x0", name: str = "known_region"
    ):
        try:
            torch.broadcast_shapes(weights.shape, reference.shape)
        except RuntimeError:
            raise ValueError(
                f"{name}: weights must fit the reference {tuple(reference.shape)}, got "
                f"{tuple(weights.shape)}"
            ) from None
        if not (float(weights.min()) >= 0 and float(weights.max()) <= 1):
            raise ValueError(f"{name}: weights must lie in [0, 1]")
        self.reference, self.weights, self.space = reference, weights, check_space(space)
        self.name = name

    def apply(self, x0: Tensor, step: Step) -> Tensor:
        """Known pixels are the reference's."""
        return torch.lerp(x0, self.reference, self.weights)

    def apply_noised(self, x: Tensor, step: Step, *, draw: Draw) -> Tensor:
        """Known pixels are the reference's, noised to the new level."""
        known = step.abar_next**0.5 * self.reference
        if step.abar_next < 1:
            known = known + (1 - step.abar_next) ** 0.5 * draw(tuple(x.shape[1:]))
        return torch.lerp(x, known, self.weights)

    def conditioning(self, step: Step) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """None: networks are conditioned on low-pass images only."""
        return None

    def to(self, device: str) -> KnownRegion:
        """The same region with its tensors on `device`."""
        reference, weights = self.reference.to(device), self.weights.to(device)
        return KnownRegion(reference, weights, space=self.space, name=self.name)

    def errors(self, x0: Tensor) -> dict[str, list[float | None]]:
        """RMS difference in the known pixels over the slice's standard deviation."""
        weights = self.weights.expand_as(x0)
        area = weights.flatten(1).sum(dim=1)
        square = (weights * (x0 - self.reference) ** 2).flatten(1).sum(dim=1)
        values = (square / area.clamp(min=1e-12)).sqrt() / x0.flatten(1).std(dim=1).clamp(min=1e-12)
        pairs = zip(values.tolist(), area.tolist(), strict=True)
        return {self.name: [value if part > 0 else None for value, part in pairs]}
