"""DDIM (Song, Meng & Ermon 2021): deterministic at eta = 0, ancestral at eta = 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import StepInputs
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step, plan, uniform_in_time
from medsynth.registry import Method


@dataclass(frozen=True)
class DDIM:
    """`eta` in [0, 1] scales the fresh noise of eq. 16."""

    eta: float = 0.0
    order: ClassVar[int] = 1
    calls: ClassVar[int] = 1
    history: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta must lie in [0, 1], got {self.eta}")

    @property
    def stochastic(self) -> bool:
        """Whether steps need fresh noise."""
        return self.eta > 0

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """Timesteps evenly spaced in t."""
        return plan(schedule, uniform_in_time(schedule, steps))

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """Eq. 12; the last step gives x0 itself."""
        x0 = prediction.x0
        if step.last:
            return x0
        abar, abar_next = step.abar, step.abar_next
        variance = self.eta**2 * (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)  # eq. 16
        epsilon = (x - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
        x_next = math.sqrt(abar_next) * x0 + math.sqrt(1 - abar_next - variance) * epsilon
        return x_next + math.sqrt(variance) * inputs.fresh_noise if variance else x_next


SAMPLER = Method(title="DDIM, deterministic", make=DDIM, rank=3)
