"""The denoiser: any network, whatever it predicts, as an estimate of x0.

epsilon, v_prediction and sample parametrizations, learned variances and reference-conditioned networks
are told apart here and nowhere else; samplers and conditions see x0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.noise_level import NoiseLevelScale
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.diffusion.schedule import Schedule, per_sample
from medsynth.errors import check_one_of

__all__ = ["PREDICTION_TYPES", "Denoiser", "Conditioning", "Prediction", "to_target", "to_x0"]

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Prediction:
    """x0 (B, C, H, W) and, from a network with learned variance, where between beta~ and beta it lies.

    `variance_weight` has the shape of x0: 0 is log beta~, 1 is log beta (Nichol & Dhariwal 2021 eq.
    15). The weight and not the variance, since a respaced sampler has other betas than training.
    """

    x0: Tensor
    variance_weight: Tensor | None = None


def to_x0(output: Tensor, x_t: Tensor, abar: Tensor, *, prediction_type: str) -> Tensor:
    """x0 from a network's output; `abar` broadcasts to x_t.

    epsilon: Ho et al. 2020 eq. 15; v = sqrt(abar) epsilon - sqrt(1 - abar) x0: Salimans & Ho 2022.
    """
    if prediction_type == "epsilon":
        return (x_t - (1 - abar).sqrt() * output) / abar.sqrt()
    if prediction_type == "v_prediction":
        return abar.sqrt() * x_t - (1 - abar).sqrt() * output
    return output


def to_target(x0: Tensor, noise: Tensor, abar: Tensor, *, prediction_type: str) -> Tensor:
    """What the network is trained to output; the counterpart of `to_x0`."""
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "v_prediction":
        return abar.sqrt() * noise - (1 - abar).sqrt() * x0
    return x0


class SampleRefiner(Protocol):
    """Corrects finished samples (B, C, H, W), but for their low-pass image of `factor`."""

    @property
    def factor(self) -> int: ...

    def __call__(self, x0: Tensor) -> Tensor:
        """What to add to x0."""
        ...


@dataclass(frozen=True)
class Denoiser:
    """`denoiser(x_t, t)` is the estimate of x0, (B, C, H, W) float32.

    `network(x, timesteps, conditioning=...)` returns its prediction, with twice the channels when
    `learned_variance`. `clip` bounds x0 to [-clip, clip] (None: unbounded data). `dtype` is what the
    network computes in. `t` is a scalar or (B,), fractional timesteps allowed. `residual`: the
    network predicts relative to its low-pass image. `conditioned_log_snr_min`: the noisiest level that it was
    trained at where a reference covers the whole image, hence where sampling begins then (None: the
    schedule's end). `noise_level`: the scale of the image noise level that the network is conditioned on.
    `refiner(x0)` is a last correction of a finished sample's fine detail.
    """

    network: Callable[..., Tensor]
    schedule: Schedule
    prediction_type: str = "v_prediction"
    learned_variance: bool = False
    reference_conditioned: bool = False
    clip: float | None = 1.0
    dtype: torch.dtype = torch.float32
    conditioning: Conditioning | None = None
    preconditioning: ResidualPreconditioning | None = None
    conditioned_log_snr_min: float | None = None
    noise_level: NoiseLevelScale | None = None
    refiner: SampleRefiner | None = None

    def __post_init__(self) -> None:
        check_one_of("prediction_type", self.prediction_type, PREDICTION_TYPES)
        if self.preconditioning and not (
            self.reference_conditioned and self.prediction_type == "v_prediction"
        ):
            raise ValueError(
                "a residual scale needs a reference-conditioned network and v_prediction"
            )

    @property
    def device(self) -> str:
        """Where the network is; the CPU for one without parameters."""
        parameters = self.network.parameters() if isinstance(self.network, nn.Module) else ()
        return next((str(parameter.device) for parameter in parameters), "cpu")

    def __call__(self, x_t: Tensor, t: Tensor | float) -> Tensor:
        """Estimate of x0 from x_t at timestep t."""
        return self.predict(x_t, t).x0

    def with_conditioning(
        self, low_pass_image: Tensor, factor_map: Tensor, noise_level: Tensor | None = None
    ) -> Denoiser:
        """A copy whose network is conditioned on the references.

        `noise_level` (B, 2): as `image_noise_levels` gives it, for a network conditioned on it.

        Raises:
            ValueError: the network is not reference-conditioned.
        """
        if not self.reference_conditioned:
            raise ValueError(
                "this network takes no reference; use one with reference_conditioned set"
            )
        conditioned = (
            None
            if noise_level is None or self.noise_level is None
            else self.noise_level.standard(noise_level)
        )
        return replace(self, conditioning=Conditioning(low_pass_image, factor_map, conditioned))

    def predict(self, x_t: Tensor, t: Tensor | float) -> Prediction:
        """Estimate of x0 and, where the network gives one, of the reverse step's variance."""
        t = torch.as_tensor(t, dtype=torch.float64)
        timesteps = t.to(device=x_t.device, dtype=torch.float32).expand(len(x_t))
        abar = per_sample(self.schedule.abar(t), x_t)
        options = {"conditioning": self.conditioning} if self.reference_conditioned else {}
        scaled = self.preconditioning and self.preconditioning.at(self.conditioning, abar, like=x_t)
        seen = scaled.network_input(x_t) if scaled else x_t
        output = self.network(seen.to(self.dtype), timesteps, **options).to(x_t.dtype)
        weight = None
        if self.learned_variance:
            output, fraction = output.chunk(2, dim=1)
            weight = (fraction + 1) / 2
        if scaled:
            x0 = scaled.to_x0(output, x_t)
        else:
            x0 = to_x0(output, x_t, abar, prediction_type=self.prediction_type)
        return Prediction(x0 if self.clip is None else x0.clamp(-self.clip, self.clip), weight)
