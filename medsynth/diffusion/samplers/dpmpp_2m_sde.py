"""SDE-DPM-Solver++ (2M): the multistep solver of the reverse SDE (Lu et al. 2022, algorithm 2, SDE).

Fresh noise in every step gives the network the chance to correct what it left in earlier steps: with
the shipped lung network the power at the highest frequencies is 0.8 to 1.4 times real instead of 1.7
to 2.8 times with the deterministic solver at the same NFE (docs/performance.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import StepInputs
from medsynth.diffusion.samplers.dpmpp_2m import DPMpp2M
from medsynth.diffusion.step import Step
from medsynth.registry import Method


@dataclass(frozen=True)
class DPMpp2MSDE(DPMpp2M):
    """The levels of `DPMpp2M`; `order` is that of the distribution (weak)."""

    @property
    def stochastic(self) -> bool:
        """Fresh noise in every step but the last."""
        return True

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """The first step is of first order, the last gives x0 itself."""
        x0 = prediction.x0
        if step.last:
            return x0
        h = (step.log_snr_next - step.log_snr) / 2  # lambda = log-SNR / 2
        deviation, deviation_next = math.sqrt(1 - step.abar), math.sqrt(1 - step.abar_next)
        gain = math.sqrt(step.abar_next) * -math.expm1(-2 * h)
        x_next = deviation_next / deviation * math.exp(-h) * x + gain * x0
        if inputs.earlier:
            before, x0_before = inputs.earlier[-1]
            r = (step.log_snr - before.log_snr) / (2 * h)
            x_next = x_next + gain / (2 * r) * (x0 - x0_before)
        return x_next + deviation_next * math.sqrt(-math.expm1(-2 * h)) * inputs.fresh_noise


SAMPLER = Method(title="SDE-DPM-Solver++ 2M, most natural texture", make=DPMpp2MSDE, rank=2)
