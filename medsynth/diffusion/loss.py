"""Eq. 1: the training loss per sample, L_simple, or with a learned variance the hybrid loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from medsynth.diffusion import variational_bound as vlb
from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.denoiser import PREDICTION_TYPES, Prediction, to_target, to_x0
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.diffusion.schedule import Schedule, per_sample
from medsynth.errors import check_one_of

VLB_WEIGHT = 0.001


class NoisedBatch(Protocol):
    """x0 and the noise for it (B, 1, H, W), crop corners (B, 2) in pixels, the conditioning or None."""

    @property
    def x0(self) -> Tensor: ...
    @property
    def noise(self) -> Tensor: ...
    @property
    def origin(self) -> Tensor: ...
    @property
    def conditioning(self) -> Conditioning | None: ...


class Objective:
    """L_simple, the mean squared error of what the network predicts; and + weight L_vlb.

    Nichol & Dhariwal 2021 eq. 16: L_vlb only teaches the variance; a stop-gradient keeps it from the
    mean. `vlb_weight` None is 0.001 where the network has a learned variance.

    Raises:
        ValueError: an unknown prediction type, a weight without a learned variance, or a residual
            scale with another prediction type than v_prediction.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        prediction_type: str,
        learned_variance: bool = False,
        vlb_weight: float | None = None,
        preconditioning: ResidualPreconditioning | None = None,
    ):
        check_one_of("prediction_type", prediction_type, PREDICTION_TYPES)
        if vlb_weight is not None and not learned_variance:
            raise ValueError(
                "vlb_weight acts on a learned variance only; set network.learned_variance, "
                "or leave it out"
            )
        if preconditioning is not None and prediction_type != "v_prediction":
            raise ValueError(f"residual_std needs v_prediction, got {prediction_type!r}")
        self.schedule, self.prediction_type = schedule, prediction_type
        self.preconditioning = preconditioning
        self.learned_variance = learned_variance
        self.vlb_weight = VLB_WEIGHT if vlb_weight is None else vlb_weight
        self.chain = vlb.Chain.of(schedule)

    def losses(self, network: Callable[..., Tensor], batch: NoisedBatch, t: Tensor) -> Tensor:
        """Of each sample of `batch`, on the network's device, at timesteps t (B,); float32 (B,)."""
        x0, noise = batch.x0, batch.noise
        x_t = self.schedule.add_noise(x0, noise, t)
        timesteps = t.to(x0.device, torch.float32)
        abar = per_sample(self.schedule.abar(t), x0)
        scaled = self.preconditioning and self.preconditioning.at(
            batch.conditioning, abar, like=x_t
        )
        seen = scaled.network_input(x_t) if scaled else x_t
        output = network(
            seen, timesteps, conditioning=batch.conditioning, origin=batch.origin
        ).float()
        fraction = None
        if self.learned_variance:
            output, fraction = output.chunk(2, dim=1)
        if scaled:
            target = scaled.to_target(x0, noise)
        else:
            target = to_target(x0, noise, abar, prediction_type=self.prediction_type)
        simple = (output - target).square().mean(dim=(1, 2, 3))
        if fraction is None:
            return simple
        if scaled:
            mean = scaled.to_x0(output.detach(), x_t)
        else:
            mean = to_x0(output.detach(), x_t, abar, prediction_type=self.prediction_type)
        prediction = Prediction(mean, (fraction + 1) / 2)
        # One of T terms was drawn; T of it estimates their sum.
        bound = len(self.chain.abar) * vlb.term(x0, prediction, t, chain=self.chain)
        return simple + self.vlb_weight * bound
