"""Histograms of the values inside the body, per window: how far apart, and drawn over each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from medsynth.domains import Preset, Window
from medsynth.evaluation import bootstrap, plots
from medsynth.evaluation.bootstrap import SliceResamples
from medsynth.evaluation.metrics.base import (
    Measured,
    Metric,
    MetricInputs,
    TableRow,
    rows_by_window,
)

BINS = 200


def histograms(planes: np.ndarray, inside: np.ndarray, window: Window) -> np.ndarray:
    """Share of each slice's body in each of `BINS` bins from end to end of the window, (N, BINS).

    Values beyond the window count in the first and last bin: the window shows them as black and white.
    """
    low, high = window.limits
    counts = [
        np.histogram(np.clip(plane[mask], low, high), bins=BINS, range=(low, high))[0]
        for plane, mask in zip(planes, inside, strict=True)
    ]
    return np.array(counts) / np.maximum(inside.sum(axis=(1, 2)), 1)[:, None]


def distance(first: np.ndarray, second: np.ndarray, window: Window) -> np.ndarray:
    """Wasserstein-1 distance of histograms (..., BINS) in physical units, window end to window end."""
    apart = np.abs((first - second).cumsum(axis=-1)).sum(axis=-1)
    return apart * window.width / BINS


def compare(
    ours: np.ndarray, theirs: np.ndarray, *, window: Window, resamples: SliceResamples
) -> dict:
    """Distance of the synthetic slices from those that guided them; floor between halves of the real.

    Of histograms (N, BINS), `ours` of the synthetic slices and `theirs` of the real ones.
    """
    weights, half = resamples.weights, resamples.half
    return {
        "value": float(distance(ours.mean(0), theirs.mean(0), window)),
        "interval": bootstrap.interval(
            distance(weights @ ours, weights @ theirs, window) / len(ours)
        ),
        "floor": float(distance(theirs[half].mean(0), theirs[~half].mean(0), window)),
        "floor_interval": bootstrap.interval(
            distance(_mean(weights * half, theirs), _mean(weights * ~half, theirs), window)
        ),
    }


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    total = weights.sum(1, keepdims=True).astype(float)
    total[total == 0] = np.nan  # a resample without any slice of this half
    return weights @ values / total


def measure(inputs: MetricInputs) -> Measured:
    """In every window."""
    pairs, found, curves = inputs.pairs, {}, {}
    for window in inputs.preset.windows:
        ours, theirs = (
            histograms(planes, inputs.inside, window) for planes in (pairs.synthetic, pairs.real)
        )
        found[window.name] = compare(ours, theirs, window=window, resamples=inputs.resamples)
        curves[window.name] = {"real": theirs.mean(0), "synthetic": ours.mean(0)}
    return Measured({"units": inputs.preset.units, "windows": found}, curves)


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """One row, a column for each window."""
    return rows_by_window(record, f"distance, {record['units']}")


def picture(curves: dict[str, Any], preset: Preset) -> bytes:
    """Both histograms in every window."""
    return plots.overlay_histograms(curves, preset)


METRIC = Metric(
    title="Histogram of values in the body",
    note="Wasserstein-1 distance between the histograms of synthetic and real slices; 0 is equal.",
    measure=measure,
    rows=rows,
    picture=picture,
    rank=4,
)
