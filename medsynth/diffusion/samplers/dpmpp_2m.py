"""DPM-Solver++ 2M (Lu et al. 2022, algorithm 2): deterministic, second order, one call per step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import StepInputs
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step, plan, uniform_in_log_snr
from medsynth.registry import Method


@dataclass(frozen=True)
class DPMpp2M:
    """Steps evenly spaced in log-SNR, entered at `log_snr_min` where the schedule goes lower.

    -10.2 is the authors' clip of lambda = log-SNR / 2 at -5.1 for the cosine schedule.
    """

    log_snr_min: float = -10.2
    order: ClassVar[int] = 2
    calls: ClassVar[int] = 1
    history: ClassVar[int] = 1

    @property
    def stochastic(self) -> bool:
        """No fresh noise."""
        return False

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """Timesteps evenly spaced in log-SNR."""
        timesteps = uniform_in_log_snr(schedule, steps, log_snr_min=self.log_snr_min)
        return plan(schedule, timesteps)

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """Algorithm 2; the first step is of first order, the last gives x0 itself."""
        x0 = prediction.x0
        if step.last:
            return x0
        h = (step.log_snr_next - step.log_snr) / 2  # lambda = log-SNR / 2
        abar, abar_next = step.abar, step.abar_next
        ratio = math.sqrt((1 - abar_next) / (1 - abar))
        gain = -math.sqrt(abar_next) * math.expm1(-h)
        if not inputs.earlier:
            return (ratio * x).add_(x0, alpha=gain)
        before, x0_before = inputs.earlier[-1]
        r = (step.log_snr - before.log_snr) / 2 / h
        # D = (1 + 1 / 2r) x0 - 1 / 2r x0_before, added in place: three passes over the image
        x_next = (ratio * x).add_(x0, alpha=gain * (1 + 1 / (2 * r)))
        return x_next.add_(x0_before, alpha=-gain / (2 * r))


SAMPLER = Method(title="DPM-Solver++ 2M, deterministic", make=DPMpp2M, rank=1)
