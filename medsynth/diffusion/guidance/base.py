"""What the loop asks of a condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from medsynth.diffusion.noise import Draw
from medsynth.diffusion.step import Step
from medsynth.errors import check_one_of
from medsynth.registry import Method

SPACES = ("x0", "x_t")


class Condition(Protocol):
    """Something that the sample shall fulfill; put into the loop, never an edit of it.

    A condition acts in one of two spaces. `x0`: the denoiser's estimate is corrected before the
    sampler's step, with the clean reference. `x_t`: the new sample is corrected after the step, with
    the reference noised to the *new* level; the last step's level is 0, its reference clean.
    """

    name: str
    space: str

    def apply(self, x0: Tensor, step: Step) -> Tensor:
        """A clean image with what the condition knows put in; `x0` itself where it has stopped."""
        ...

    def apply_noised(self, x: Tensor, step: Step, *, draw: Draw) -> Tensor:
        """The same for a sample at `step.t_next`; `draw(shape)` gives N(0, 1) of (B, *shape)."""
        ...

    def conditioning(self, step: Step) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Low-pass image, factor map and noise level for a reference-conditioned network.

        Noise level None: unknown. None instead of all: no conditioning.

        The same objects are returned as long as they hold.
        """
        ...

    def to(self, device: str) -> Condition:
        """The condition with its tensors on `device`, where the network is."""
        ...

    def errors(self, x0: Tensor) -> dict[str, list[float | None]]:
        """How far the result is off, per named part and slice; None where a part does not act."""
        ...


def check_space(space: str) -> str:
    """`space` itself.

    Raises:
        ValueError: neither x0 nor x_t.
    """
    check_one_of("guidance", space, SPACES)
    return space


@dataclass(frozen=True)
class ConditionMethod(Method):
    """`make(reference, **options)` gives a `Condition` for the anatomy (1, 1, H, W) in [-1, 1].

    `options` by the request's key: (what is allowed, the default, what it means), all literal. Allowed
    are the lowest and highest number, whole ones where both are, or the words.
    """

    options: Mapping[str, tuple[tuple[Any, ...], Any, str]] = field(default_factory=dict)
