"""What the loop asks of a sampler."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step


class Sampler(Protocol):
    """One way from noise to image, given the denoiser's x0 at every step.

    `order` is the order of convergence in the step size, which a test proves. A `stochastic`
    sampler needs fresh noise in every step but the last.
    """

    order: int

    @property
    def stochastic(self) -> bool: ...

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """The moves for `steps` network calls."""
        ...

    def step(
        self,
        x: Tensor,
        prediction: Prediction,
        step: Step,
        *,
        previous: tuple[Step, Tensor] | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """x at `step.t_next` from x at `step.t`.

        `prediction.x0` is already guided. `previous` is the last step with the x0 used there (None
        at the first). `noise` ~ N(0, I), shaped like x, for a stochastic sampler.
        """
        ...
