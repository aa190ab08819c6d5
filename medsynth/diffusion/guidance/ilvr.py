"""Eq. 3: low-frequency guidance, x + phi(y_t) - phi(x): ILVR (Choi et al. 2021), several references.

After Krishna et al., "Synthesis of realistic medical images with pathologies using diffusion
models": each reference y_s has a factor n_s, a weight map W_s and a noise level where it stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.bands import Composition
from medsynth.diffusion.guidance.base import check_space
from medsynth.diffusion.guidance.composition import compose
from medsynth.diffusion.noise import Draw
from medsynth.diffusion.noise_level import image_noise_levels
from medsynth.diffusion.step import Step


def with_low_frequencies_of(y_t: Tensor, x: Tensor, *, phi: Callable[[Tensor], Tensor]) -> Tensor:
    """Equation 3: x with the low frequencies of the reference y_t, which is noised to x's level.

    `LowFrequencyGuidance` does the same on the filter's small grid; a test holds them equal.
    """
    return x + phi(y_t) - phi(x)  # Eq. 3


@dataclass(frozen=True)
class LowFrequency:
    """One reference and how closely it is followed.

    Args:
        name: what it is called in reports, such as "anatomy" or "pathology_01".
        reference: (B, 1, H, W) in [-1, 1], one image per slice of the batch.
        factor: n of the low-pass filter; 1 follows the reference exactly.
        weights: (B or 1, 1, H, W) in [0, 1]; None: the whole frame. A slice in which the condition
            has no part has weights 0.
        stop_sigma: the noise level below which it no longer acts; None or 0: it acts to the end.
        stop_fraction: instead of `stop_sigma`, the share of the steps after which it stops.
        filter: dct, block or bicubic.
    """

    name: str
    reference: Tensor
    factor: int
    weights: Tensor | None = None
    stop_sigma: float | None = None
    stop_fraction: float | None = None
    filter: str = "dct"

    def __post_init__(self) -> None:
        shape = tuple(self.reference.shape)
        if len(shape) != 4 or shape[1] != 1:
            raise ValueError(f"{self.name}: reference must be (B, 1, H, W), got {shape}")
        low_pass.build(self.filter, size=shape[-2:], factor=self.factor)
        if not bool(torch.isfinite(self.reference).all()):
            raise ValueError(f"{self.name}: reference holds NaN or infinite values; mend it first")
        if self.weights is not None:
            self._check_weights(self.weights, shape)
        sigma, fraction = self.stop_sigma, self.stop_fraction
        if sigma is not None and fraction is not None:
            raise ValueError(
                f"{self.name}: give stop_sigma or stop_fraction, got both ({sigma} and {fraction})"
            )
        if sigma is not None and not sigma >= 0:
            raise ValueError(f"{self.name}: stop_sigma must be at least 0, got {sigma}")
        if fraction is not None and not 0 < fraction <= 1:
            raise ValueError(f"{self.name}: stop_fraction must lie in (0, 1], got {fraction}")

    def _check_weights(self, weights: Tensor, shape: tuple[int, ...]) -> None:
        got = tuple(weights.shape)
        if len(got) != 4 or got[0] not in (1, shape[0]) or got[1:] != shape[1:]:
            raise ValueError(f"{self.name}: weights must be {shape} or 1 of them, got {got}")
        low, high = float(weights.min()), float(weights.max())
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise ValueError(
                f"{self.name}: weights must lie in [0, 1], got {low:.3g} ... {high:.3g}"
            )

    def active(self, step: Step) -> bool:
        """Whether it acts on the move to `step.t_next`.

        By sigma: while the *new* level is not below it, so that 0 acts to the very end. By fraction:
        on the moves that lie wholly within that share of the steps.
        """
        if self.stop_fraction is not None:
            return step.index + 1 <= self.stop_fraction * step.steps + 1e-9
        return step.sigma_next >= (self.stop_sigma or 0.0)

    def to(self, device: str) -> LowFrequency:
        """With its tensors on `device`; itself where they are there."""
        reference, weights = self.reference.to(device), self.weights
        weights = None if weights is None else weights.to(device)
        if reference is self.reference and weights is self.weights:
            return self
        return replace(self, reference=reference, weights=weights)


class LowFrequencyGuidance:
    """All low-frequency references of a sample as one condition.

    Args:
        references: at least one, with different names, all of one shape.
        composition: nested, sum or weighted (see `composition`).
        space: x0 or x_t (see `Condition`).

    Raises:
        ValueError: no references, shapes or names that do not fit, or a composition that diverges.
    """

    name = "low_frequency"

    def __init__(
        self, references: Sequence[LowFrequency], *, composition: str = "nested", space: str = "x0"
    ):
        self.references = tuple(references)
        self.composition, self.space = composition, check_space(space)
        names = [r.name for r in self.references]
        shapes = {tuple(r.reference.shape) for r in self.references}
        if len(shapes) != 1 or len(set(names)) != len(names):
            raise ValueError(
                f"references must have one shape and different names, got {sorted(shapes)} and "
                f"{names}"
            )
        self._compositions: dict[tuple[int, ...], Composition] = {}
        self._conditionings: dict[tuple[int, ...], tuple[Tensor, Tensor, Tensor | None] | None] = {}
        self._noise_level: Tensor | None = None
        self._all = self._composed(tuple(range(len(self.references))))

    def apply(self, x0: Tensor, step: Step) -> Tensor:
        """x0 with the low frequencies of the active references."""
        active = self._active(step)
        return self._composed(active).apply(x0) if active else x0

    def apply_noised(self, x: Tensor, step: Step, *, draw: Draw) -> Tensor:
        """x at the new level with the low frequencies of the references noised to that level."""
        active = self._active(step)
        return self._composed(active).apply(x, abar=step.abar_next, draw=draw) if active else x

    def conditioning(self, step: Step) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """The composed low-pass image and factor map of the active references, 0 when none is.

        The noise level is that of the first reference of the whole frame, also after it stopped: noise
        is drawn in the last steps. None: there is no such; None instead of all: no conditioning.
        """
        active = self._active(step)
        if active in self._conditionings:
            return self._conditionings[active]
        whole = [r.reference for r in self.references if r.weights is None]
        if whole and self._noise_level is None:
            self._noise_level = image_noise_levels(whole[0])
        found = None
        if active:
            found = (*self._composed(active).conditioning(), self._noise_level)
        elif whole:
            nothing = torch.zeros_like(whole[0])
            found = nothing, nothing, self._noise_level
        self._conditionings[active] = found
        return found

    def errors(self, x0: Tensor) -> dict[str, list[float | None]]:
        """RMS of phi_s(x0) against the composed low-pass image, in each reference's part of the plane.

        In units of the slice's standard deviation; None in slices where a reference has no part.
        """
        deviation = x0.flatten(1).std(dim=1).clamp(min=1e-12)
        figures = {}
        for s, reference in enumerate(self.references):
            share = self._all.shares[s].expand_as(x0).to(x0)
            difference = self._all.missing(s, x0)
            area = share.flatten(1).sum(dim=1)
            mean_square = (share * difference**2).flatten(1).sum(dim=1) / area.clamp(min=1e-12)
            values = (mean_square.sqrt() / deviation).tolist()
            figures[reference.name] = [
                value if part > 0 else None
                for value, part in zip(values, area.tolist(), strict=True)
            ]
        return figures

    def to(self, device: str) -> LowFrequencyGuidance:
        """The same guidance with its tensors on `device`; itself, composed already, where they are there."""
        moved = [reference.to(device) for reference in self.references]
        if all(new is old for new, old in zip(moved, self.references, strict=True)):
            return self
        return LowFrequencyGuidance(moved, composition=self.composition, space=self.space)

    def _active(self, step: Step) -> tuple[int, ...]:
        return tuple(i for i, r in enumerate(self.references) if r.active(step))

    def _composed(self, active: tuple[int, ...]) -> Composition:
        if active not in self._compositions:
            chosen = [self.references[i] for i in active]
            self._compositions[active] = compose(chosen, kind=self.composition)
        return self._compositions[active]
