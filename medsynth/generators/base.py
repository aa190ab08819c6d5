"""What every generator offers: slices in, slices out, and what it can be asked for.

The pipeline prepares the tasks and writes what comes out; how an image is made is the generator's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from medsynth.records.result import Checkpoint
from medsynth.registry import Method
from medsynth.request.model import Stop

TO_THE_END = Stop(sigma=0.0)
# What records call the reference of what lies around a body.
SURROUNDINGS = "surroundings"


@dataclass(frozen=True)
class GeneratorMethod(Method):
    """`make(request, *, preset, weights, metadata, device)` gives a `Generator`.

    `needs_weights`: it draws with a network of the request's preset; without, `weights` is None.
    """

    needs_weights: bool = True


@dataclass(frozen=True)
class Capabilities:
    """What can be asked of a generator.

    Attributes:
        reference: it follows the anatomy; without, the reference only gives the grid.
        lesions: it follows the references of pathologies.
        background: it keeps pixels that are known.
        conditions: it fulfils those that `conditions` of a request names.
    """

    reference: bool = True
    lesions: bool = True
    background: bool = True
    conditions: bool = False


@dataclass(frozen=True, eq=False)
class Reference:
    """An image whose low frequencies a slice follows.

    `values` (H, W) in the domain's units; `weights` (H, W) in [0, 1], None: the whole slice.
    """

    name: str
    values: np.ndarray
    factor: int
    stop: Stop = TO_THE_END
    weights: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SliceTask:
    """One slice to make: what it follows, anatomy first, and where its pixels are `known` (H, W)."""

    references: tuple[Reference, ...]
    known: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class MadeSlice:
    """Slice `index`: `values` (H, W) float32 in the domain's units, and how well it was followed.

    `errors` by name of the reference, None where it has no part; `beyond` counts the pixels that the
    domain's intensity map could not represent; `noise` is, by tissue, the noise that was wanted, that
    the sample had, and that was added.
    """

    index: int
    values: np.ndarray
    errors: dict[str, float | None] = field(default_factory=dict)
    beyond: int = 0
    noise: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)


# Called with (slice, done, steps) after each step; what it raises ends the work.
OnSlice = Callable[[int, int, int], None]


class Generator(Protocol):
    """Makes the slices of a volume; built for one domain, and kept for many requests."""

    name: str
    capabilities: Capabilities

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The weights that it draws with; None: none."""
        ...

    def check(self, task: SliceTask) -> None:
        """Refuse what `generate` would refuse, before any work.

        Raises:
            ValueError: it cannot make such a slice.
        """
        ...

    def seconds_per_slice(self, shape: tuple[int, int]) -> float:
        """What a slice (H, W) will take, measured now."""
        ...

    def generate(
        self,
        slices: Sequence[int],
        task: Callable[[int], SliceTask],
        *,
        seed: int,
        step_mm: float,
        on_step: OnSlice,
    ) -> Iterator[MadeSlice]:
        """The slices of a volume whose slices are `step_mm` apart, in rising order.

        What a slice shows depends on the seed, its index and its task alone.
        """
        ...

    def record(self) -> dict[str, Any]:
        """Fields of `Result` that say how it was made: nfe, sampler, device, dtype."""
        ...
