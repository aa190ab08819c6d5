"""The loss over the optimizer steps, as a picture to look at while training runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

POINTS = 400


def draw_curves(losses: Sequence[tuple[int, float, float]], path: Path) -> None:
    """Write `curves.png`: running mean and spread of the loss, and the learning rate.

    `losses` holds (step, loss, learning rate).
    """
    steps, values, rates = (np.array(column) for column in zip(*losses, strict=True))
    length = max(1, len(values) // POINTS)
    count = len(values) // length
    blocks = values[: count * length].reshape(count, length)
    at = steps[: count * length].reshape(count, length).mean(axis=1)
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        at, np.quantile(blocks, 0.1, axis=1), np.quantile(blocks, 0.9, axis=1), alpha=0.25
    )
    axes.plot(at, blocks.mean(axis=1), label="loss")
    axes.set(xlabel="optimizer step", ylabel="loss (mean squared error)", yscale="log")
    right = axes.twinx()
    right.plot(steps, rates, color="tab:orange", linewidth=1)
    right.set(ylabel="learning rate")
    partial = path.with_name(f".{path.stem}.partial.png")
    figure.savefig(partial, dpi=100)
    os.replace(partial, path)
