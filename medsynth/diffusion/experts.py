"""Experts by noise level: one network above a log-SNR, another below it (Balaji et al. 2022, arXiv:2211.01324).

What is coarse is settled where noise is strong, and is the reference's business; what is fine is settled
where noise is weak, by a network that looks at every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser, Prediction

# A level computed there and back is off by rounding.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Expert:
    """`denoiser` is called from `log_snr_min` up; its schedule may be another."""

    denoiser: Denoiser
    log_snr_min: float


@dataclass(frozen=True)
class DenoiserWithExpert(Denoiser):
    """A denoiser whose expert does the calls above its log-SNR, where references cover the whole image.

    Everything else, such as where sampling begins, is as of the denoiser itself. The refiner is the
    expert's, if it has one: it looks over what the expert draws.

    Raises:
        ValueError: the expert takes no reference, or only one of the two has a learned variance.
    """

    expert: Expert | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.expert is None:
            return
        other = self.expert.denoiser
        if not (self.reference_conditioned and other.reference_conditioned):
            raise ValueError("an expert needs two reference-conditioned networks")
        if self.learned_variance != other.learned_variance:
            raise ValueError("only one of network and expert has a learned variance")

    def with_conditioning(
        self, low_pass_image: Tensor, factor_map: Tensor, noise_level: Tensor | None = None
    ) -> Denoiser:
        """Both conditioned, each in its own way."""
        both = super().with_conditioning(low_pass_image, factor_map, noise_level)
        assert isinstance(both, DenoiserWithExpert)
        if self.expert is None:
            return both
        other = self.expert.denoiser.with_conditioning(low_pass_image, factor_map, noise_level)
        return replace(both, expert=replace(self.expert, denoiser=other))

    def is_expert_at(self, t: Tensor | float) -> bool:
        """Whether the expert does a call at timestep t, a scalar or (B,): for all samples, or for none.

        Raises:
            ValueError: the samples of one batch are on either side.
        """
        if self.expert is None or self.conditioning is None:
            return False
        if not bool((self.conditioning.factor_map > 0).all()):
            return False
        above = self.schedule.log_snr(t) >= self.expert.log_snr_min - TOLERANCE
        if bool(above.any()) != bool(above.all()):
            raise ValueError(
                "one batch has levels on either side of the expert's log_snr_min "
                f"{self.expert.log_snr_min:g}; call with one level at a time"
            )
        return bool(above.all())

    def predict(self, x_t: Tensor, t: Tensor | float) -> Prediction:
        """By whose level it is."""
        if self.expert is None or not self.is_expert_at(t):
            return super().predict(x_t, t)
        other = self.expert.denoiser
        level = self.schedule.log_snr(torch.as_tensor(t, dtype=torch.float64))
        return other.predict(x_t, other.schedule.t_at_log_snr(level))


def with_expert(denoiser: Denoiser, expert: Denoiser, *, log_snr_min: float) -> DenoiserWithExpert:
    """`denoiser`, with `expert` for the levels from `log_snr_min` up.

    Raises:
        ValueError: as `DenoiserWithExpert`.
    """
    own: dict[str, Any] = {name: getattr(denoiser, name) for name in Denoiser.__dataclass_fields__}
    own["refiner"] = expert.refiner
    return DenoiserWithExpert(**own, expert=Expert(expert, log_snr_min))
