"""Bootstrap intervals over slices: blocks of neighbors are drawn together, within each patient.

Slices of one patient are alike, and neighbors most of all; to draw them one by one would make every
interval too narrow (Kuensch 1989). With two or three patients nothing tells how another patient would
turn out: the intervals are about these patients. Where patients have one slice or two, whole patients are
drawn (a cluster bootstrap): within each there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

REPEATS = 1000
BLOCK = 2


def slice_weights(
    groups: Sequence[object], *, seed: int, repeats: int = REPEATS, block: int = BLOCK
) -> np.ndarray:
    """How often each slice is drawn in each resample, (repeats, N) int.

    Every group (patient, or fold) keeps its number of slices. Blocks are runs of `block` slices in the
    order given, around the end. Groups of one block or less stand for one another, those of one size
    together.
    """
    rng = np.random.default_rng(seed)
    labels = np.asarray(groups)
    weights = np.zeros((repeats, len(labels)), dtype=np.int64)
    rows = np.arange(repeats)[:, None]
    small: dict[int, list[np.ndarray]] = {}
    for group in dict.fromkeys(groups):
        members = np.flatnonzero(labels == group)
        if len(members) <= block:
            small.setdefault(len(members), []).append(members)
            continue
        starts = rng.integers(len(members), size=(repeats, -(-len(members) // block)))
        places = (starts[..., None] + np.arange(block)).reshape(repeats, -1)[:, : len(members)]
        np.add.at(weights, (rows, members[places % len(members)]), 1)
    for whole in map(np.stack, small.values()):
        drawn = rng.integers(len(whole), size=(repeats, len(whole)))
        np.add.at(weights, (rows, whole[drawn].reshape(repeats, -1)), 1)
    return weights


@dataclass(frozen=True)
class SliceResamples:
    """The slices that `patients` own, resampled, and in two halves with the same patients."""

    patients: Sequence[object]
    seed: int = 0

    @cached_property
    def weights(self) -> np.ndarray:
        """How often each slice is drawn in each resample, (repeats, N) int."""
        return slice_weights(self.patients, seed=self.seed)

    @cached_property
    def half(self) -> np.ndarray:
        """The slices of the first half, (N,) bool."""
        return halves(self.patients)


def interval(values: np.ndarray, *, level: float = 0.95) -> list[float]:
    """The percentile interval of what the resamples gave; NaN is left out."""
    if np.isnan(values).all():
        return [float("nan")] * 2
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return [float(low), float(high)]


def halves(patients: Sequence[object]) -> np.ndarray:
    """True for every other slice of each patient, (N,) bool: two halves with the same patients.

    Patients with a single slice take turns.
    """
    labels = np.asarray(patients)
    names, counts = np.unique(labels, return_counts=True)
    half = np.zeros(len(labels), dtype=bool)
    for name in names[counts > 1]:
        half[np.flatnonzero(labels == name)[::2]] = True
    half[np.flatnonzero(np.isin(labels, names[counts == 1]))[::2]] = True
    return half
