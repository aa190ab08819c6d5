"""Eq. 2: ancestral sampling (Ho et al. 2020), respaced, with fixed or learned variances.

Steps may skip timesteps (Nichol & Dhariwal 2021, section 4): beta and beta~ are those of the move
t -> t_next, never those of the training step at t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import StepInputs
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step, plan, uniform_in_time
from medsynth.errors import check_one_of
from medsynth.registry import Method

VARIANCES = ("fixed_small", "fixed_large", "learned")


@dataclass(frozen=True)
class DDPM:
    """`variance`: beta~ (fixed_small), beta (fixed_large), or between the two as the network says.

    Equation 2 of the guided-synthesis paper prints sigma = sqrt(beta_t), which is fixed_large.
    """

    variance: str = "fixed_small"
    order: ClassVar[int] = 1
    calls: ClassVar[int] = 1
    history: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_one_of("variance", self.variance, VARIANCES)

    @property
    def stochastic(self) -> bool:
        """Ancestral steps always need fresh noise."""
        return True

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """Timesteps evenly spaced in t."""
        return plan(schedule, uniform_in_time(schedule, steps))

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """Ho et al. eq. 6 and 7 for the move t -> t_next; the last step gives x0 itself.

        Raises:
            ValueError: learned variance was asked for and the network gives none.
        """
        x0 = prediction.x0
        if step.last:
            return x0
        abar, abar_next = step.abar, step.abar_next
        beta = 1 - abar / abar_next
        mean = (
            math.sqrt(abar_next) * beta / (1 - abar) * x0
            + math.sqrt(1 - beta) * (1 - abar_next) / (1 - abar) * x
        )
        return mean + self._deviation(prediction, step) * inputs.fresh_noise

    def _deviation(self, prediction: Prediction, step: Step) -> Tensor | float:
        """sqrt of the variance of q(x_t_next | x_t) as the chosen kind has it."""
        beta = 1 - step.abar / step.abar_next
        posterior = (1 - step.abar_next) / (1 - step.abar) * beta  # beta~, eq. 7
        if self.variance == "fixed_large":
            return math.sqrt(beta)
        if self.variance == "fixed_small":
            return math.sqrt(posterior)
        weight = prediction.variance_weight
        if weight is None:
            raise ValueError(
                "variance 'learned' needs a network with learned variance, got one without; "
                "try variance='fixed_small'"
            )
        # Nichol & Dhariwal eq. 15 with the respaced beta and beta~; half of the log is the root
        return torch.exp((weight * math.log(beta) + (1 - weight) * math.log(posterior)) / 2)


SAMPLER = Method(title="DDPM, ancestral, wants hundreds of steps", make=DDPM, rank=4)
