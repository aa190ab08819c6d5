"""What every metric is given, what it declares, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation.bootstrap import SliceResamples
from medsynth.evaluation.held_out import Pairs, body
from medsynth.events import Listener, ignore

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class MetricInputs:
    """What metrics are computed from.

    `training()` gives real slices (N, H, W) of the training patients in physical units; None leaves
    out the features that are learned from them. `imagenet` maps patches (M, S, S) to features.
    `settings` replace a metric's own, such as its training budget, by the metric's name. `of_real` keeps
    what depends on the real slices, preset, seed and settings alone: inputs that share those may share it.
    """

    pairs: Pairs
    preset: Preset
    training: Callable[[], np.ndarray] | None = None
    imagenet: Callable[[np.ndarray], np.ndarray] | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    listener: Listener = ignore
    of_real: dict[str, Any] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], Made]) -> Made:
        """What `make` gives, which depends on the real slices alone; made by the first who asks."""
        if key not in self.of_real:
            self.of_real[key] = make()
        return self.of_real[key]

    @property
    def options(self) -> dict[str, Any]:
        """What every comparison of the pairs takes."""
        return {"patients": self.pairs.owners, "seed": self.seed}

    @cached_property
    def resamples(self) -> SliceResamples:
        """Of the pairs, for intervals and floors."""
        return SliceResamples(self.pairs.owners, self.seed)

    @cached_property
    def inside(self) -> np.ndarray:
        """Which pixels of the real slices are body, bool (N, H, W)."""
        return body(self.pairs.real, preset=self.preset)


@dataclass(frozen=True)
class Measured:
    """`record` is for figures.json; `curves` are what the picture is drawn from, None: no picture."""

    record: dict[str, Any]
    curves: dict[str, Any] | None = None


@dataclass(frozen=True)
class TableRow:
    """One cell of the page's table: `what` is measured, `where` (window, tissue), and the figures.

    `record` holds `value` and, where there are such, `interval`, `floor` and `floor_interval`.
    """

    what: str
    where: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """The declaration of a metric: `METRIC = Metric(...)` at the end of its file.

    Everything but the functions must be literal: it is read without running the file.

    Attributes:
        title: heading of its section.
        note: what it is and how to read it, below the heading.
        measure: the figures.
        rows: what the table shows of `Measured.record`.
        picture: a PNG of `Measured.curves` in a domain.
        name: key of figures.json and word of `--only`; that of the file unless it is given.
        rank: its place on the page, and when it is its turn.
        reports_progress: it says itself how far it is.
    """

    title: str
    note: str
    measure: Callable[[MetricInputs], Measured]
    rows: Callable[[dict[str, Any]], Iterable[TableRow]]
    picture: Callable[[dict[str, Any], Preset], bytes] | None = None
    name: str = ""
    rank: int = 100
    reports_progress: bool = False


def rows_by_window(record: dict[str, Any], what: str) -> Iterable[TableRow]:
    """A row of each window of `record`."""
    for where, figures in record["windows"].items():
        yield TableRow(what, where, figures)
