"""SDE-DPM-Solver++ (3M): the multistep solver of the reverse SDE with a parabola through three x0.

The exponential integrator of Lu et al. 2022 (arXiv:2211.01095, appendix B) for the SDE:
x0 is extrapolated along lambda = log-SNR / 2 from the three newest estimates, by Newton's divided
differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import Earlier, StepInputs
from medsynth.diffusion.samplers.dpmpp_2m import DPMpp2M
from medsynth.diffusion.step import Step
from medsynth.registry import Method


@dataclass(frozen=True)
class DPMpp3MSDE(DPMpp2M):
    """The levels of `DPMpp2M`; `eta` in [0, 1] scales the fresh noise, 0: none (deterministic).

    `order` is 3 for the path without noise. With noise it is that of the distribution (weak), 2: the
    differences of x0 hold the noise of their steps.
    """

    eta: float = 1.0
    history: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta must lie in [0, 1], got {self.eta}")

    @property
    def order(self) -> int:  # type: ignore[override]
        """Of convergence in the step size."""
        return 2 if self.stochastic else 3

    @property
    def stochastic(self) -> bool:
        """Whether steps need fresh noise."""
        return self.eta > 0

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """The first two steps are of first and second order, the last gives x0 itself."""
        x0 = prediction.x0
        if step.last:
            return x0
        h = (step.log_snr_next - step.log_snr) / 2
        rate = (1 + self.eta) * h  # noise is removed, and what is renewed once more
        phi_1 = -math.expm1(-rate)
        phi_2 = 1 - phi_1 / rate
        phi_3 = 0.5 - phi_2 / rate
        slope, curve = _differences(x0, step, inputs.earlier, h=h)
        mean = math.exp(-rate) / math.sqrt(step.abar) * x + phi_1 * x0
        if slope is not None:
            mean = mean + phi_2 * slope
        if curve is not None:
            mean = mean + phi_3 * curve
        x_next = math.sqrt(step.abar_next) * mean
        if not self.stochastic:
            return x_next
        renewed = (1 - step.abar_next) * -math.expm1(-2 * self.eta * h)
        return x_next + math.sqrt(renewed) * inputs.fresh_noise


def _differences(
    x0: Tensor, step: Step, earlier: Earlier, *, h: float
) -> tuple[Tensor | None, Tensor | None]:
    """h dx0/dlambda and h^2 d2x0/dlambda2 at `step`, as far as there are estimates for them."""
    if not earlier:
        return None, None
    before, x0_before = earlier[-1]
    r_0 = (step.log_snr - before.log_snr) / 2 / h
    first = (x0 - x0_before) / r_0
    if len(earlier) == 1:
        return first, None
    oldest, x0_oldest = earlier[-2]
    r_1 = (before.log_snr - oldest.log_snr) / 2 / h
    second = (first - (x0_before - x0_oldest) / r_1) / (r_0 + r_1)
    return first + r_0 * second, 2 * second


SAMPLER = Method(title="SDE-DPM-Solver++ 3M, stochastic, three estimates", make=DPMpp3MSDE, rank=6)
