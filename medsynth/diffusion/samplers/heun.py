"""Heun's method (Karras et al. 2022, arXiv:2206.00364, algorithm 1): second order, two calls a step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.samplers.base import StepInputs
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step, check_steps, plan
from medsynth.registry import Method


@dataclass(frozen=True)
class Heun:
    """Levels by Karras et al. eq. 5 with `rho`, entered at `log_snr_min` where the schedule goes lower.

    The last step is one of Euler, as in the paper; with an even number of network calls the first is
    one too, so that `steps` is the NFE.
    """

    rho: float = 7.0
    log_snr_min: float = -10.2
    order: ClassVar[int] = 2
    calls: ClassVar[int] = 2
    history: ClassVar[int] = 0

    @property
    def stochastic(self) -> bool:
        """No fresh noise."""
        return False

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """steps // 2 + 1 moves, which make `steps` network calls together."""
        moves = plan(schedule, self._timesteps(schedule, check_steps(steps) // 2 + 1))
        single = {0, len(moves) - 1} if steps % 2 == 0 else {len(moves) - 1}
        return tuple(move if move.index in single else replace(move, calls=2) for move in moves)

    def _timesteps(self, schedule: Schedule, count: int) -> list[float]:
        low, high = schedule.log_snr([schedule.num_train_timesteps - 1, 0]).tolist()
        low = max(low, self.log_snr_min)
        if count == 1:
            return [float(schedule.t_at_log_snr(low))]
        first, last = (math.exp(-0.5 * level) ** (1 / self.rho) for level in (low, high))
        roots = [first + (last - first) * i / (count - 1) for i in range(count)]
        return schedule.t_at_log_snr([-2 * self.rho * math.log(root) for root in roots]).tolist()

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """Algorithm 1 on x / sqrt(abar), whose slope is (x / sqrt(abar) - x0) / sigma."""
        if step.last:
            return prediction.x0
        scaled = x / math.sqrt(step.abar)
        length = step.sigma_next - step.sigma
        slope = (scaled - prediction.x0) / step.sigma
        euler = scaled + length * slope
        if step.calls == 1 or inputs.estimate_next is None:
            return math.sqrt(step.abar_next) * euler
        x0_next = inputs.estimate_next(math.sqrt(step.abar_next) * euler)
        slope_next = (euler - x0_next) / step.sigma_next
        return math.sqrt(step.abar_next) * (scaled + length * (slope + slope_next) / 2)


SAMPLER = Method(title="Heun, deterministic, two network calls a step", make=Heun, rank=5)
