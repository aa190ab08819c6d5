"""What the loop asks of a sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step

Earlier = Sequence[tuple[Step, Tensor]]
Estimate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class StepInputs:
    """What a step may look at besides x and the guided x0.

    `earlier` holds the last `history` steps, each with the x0 used there, the newest last; fewer at the
    beginning. `noise` ~ N(0, I), shaped like x, for a stochastic sampler. `estimate_next(x)` is the
    guided x0 at `step.t_next`, one more network call, which a step may make where `step.calls` is 2.
    """

    earlier: Earlier = ()
    noise: Tensor | None = None
    estimate_next: Estimate | None = None

    @property
    def fresh_noise(self) -> Tensor:
        """The noise, for a step that cannot do without it.

        Raises:
            ValueError: there is none.
        """
        if self.noise is None:
            raise ValueError("a stochastic sampler needs fresh noise in every step but the last")
        return self.noise


class Sampler(Protocol):
    """One way from noise to image, given the denoiser's x0 at every step.

    `order` is the order of convergence in the step size, which a test proves. `calls` are the network
    calls that a step may make, `history` how many estimates of earlier steps it looks at. A
    `stochastic` sampler needs fresh noise in every step but the last.
    """

    calls: ClassVar[int]
    history: ClassVar[int]

    @property
    def order(self) -> int: ...

    @property
    def stochastic(self) -> bool: ...

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """The moves for `steps` network calls: the sum of their `Step.calls`."""
        ...

    def step(self, x: Tensor, prediction: Prediction, step: Step, inputs: StepInputs) -> Tensor:
        """x at `step.t_next` from x at `step.t`.

        `prediction.x0` is already guided.
        """
        ...
