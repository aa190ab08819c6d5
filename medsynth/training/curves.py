"""Loss and learning rate over the steps, and the loss by noise level, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medsynth.storage.files import new_file

POINTS = 400
Row = tuple[float, ...]


def draw_curves(losses: Sequence[Row], path: Path, *, by_level: Sequence[Row] = ()) -> None:
    """Write the picture.

    `losses` holds (step, loss, learning rate); `by_level` (step, log-SNR, loss, samples), as
    `LevelLog.rows`.
    """
    figure = Figure(figsize=(13 if by_level else 9, 4.5), layout="constrained")
    axes = figure.subplots(1, 2 if by_level else 1, squeeze=False)[0]
    _over_steps(axes[0], losses)
    if by_level:
        _over_levels(axes[1], by_level)
    with new_file(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=100)


def _over_steps(axes: Axes, losses: Sequence[Row]) -> None:
    """Running mean and spread of the loss; the learning rate on the right."""
    steps, values, rates = (np.array(column) for column in zip(*losses, strict=True))
    length = max(1, len(values) // POINTS)
    count = len(values) // length
    blocks = values[: count * length].reshape(count, length)
    at = steps[: count * length].reshape(count, length).mean(axis=1)
    axes.fill_between(
        at, np.quantile(blocks, 0.1, axis=1), np.quantile(blocks, 0.9, axis=1), alpha=0.25
    )
    axes.plot(at, blocks.mean(axis=1))
    axes.set(xlabel="optimizer step", ylabel="loss", yscale="log")
    right = axes.twinx()
    right.plot(steps, rates, color="tab:orange", linewidth=1)
    right.set(ylabel="learning rate")


def _over_levels(axes: Axes, rows: Sequence[Row]) -> None:
    """Mean loss by log-SNR, of the run's first, second and last thirds."""
    table = np.array(rows)
    edges = np.linspace(0, table[:, 0].max(), 4)
    for low, high, alpha in zip(edges[:-1], edges[1:], (0.25, 0.5, 1.0), strict=True):
        part = table[(table[:, 0] > low) & (table[:, 0] <= high)]
        if len(part):
            at = np.unique(part[:, 1])
            means = [np.average(r[:, 2], weights=r[:, 3]) for r in _groups(part, at)]
            label = f"steps to {round(high)}"
            axes.plot(at, means, ".-", color="tab:blue", alpha=alpha, label=label)
    axes.set(xlabel="log-SNR (right: little noise)", ylabel="loss", yscale="log")
    axes.legend()


def _groups(table: np.ndarray, at: np.ndarray) -> list[np.ndarray]:
    return [table[table[:, 1] == level] for level in at]
