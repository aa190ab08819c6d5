"""Radial power spectra through each window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from medsynth.domains import Preset, Window
from medsynth.evaluation import bootstrap, plots
from medsynth.evaluation.bootstrap import SliceResamples
from medsynth.evaluation.metrics.base import Measured, Metric, MetricInputs, TableRow
from medsynth.evaluation.radial_power import BANDS, power, ring_means

# Edges of the rings that are drawn: about 1.16 from one to the next.
RINGS = np.geomspace(0.01, 0.5, 28)


def spectra(planes: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Power of each slice in each band (N, 4) and each drawn ring (N, 27)."""
    rings = list(zip(RINGS[:-1], RINGS[1:], strict=True))
    found = [ring_means(power(plane, window), [*BANDS, *rings]) for plane in planes]
    return np.array(found)[:, : len(BANDS)], np.array(found)[:, len(BANDS) :]


def compare(
    real: np.ndarray, synthetic: np.ndarray, *, window: Window, resamples: SliceResamples
) -> tuple[dict, dict]:
    """Power of synthetic over real slices, band by band; floor: one half of the real over the other.

    The second dict holds what is drawn: rings, and the power of each slice in them.
    """
    (ours, our_rings), (theirs, their_rings) = (spectra(p, window) for p in (synthetic, real))
    weights, half = resamples.weights, resamples.half
    ratio = (weights @ ours) / (weights @ theirs)
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample without a slice of one half
        halves = (weights * half @ theirs / (weights * half).sum(1, keepdims=True)) / (
            weights * ~half @ theirs / (weights * ~half).sum(1, keepdims=True)
        )
    found = {
        "value": (ours.mean(0) / theirs.mean(0)).tolist(),
        "interval": [bootstrap.interval(band) for band in ratio.T],
        "floor": (theirs[half].mean(0) / theirs[~half].mean(0)).tolist(),
        "floor_interval": [bootstrap.interval(band[np.isfinite(band)]) for band in halves.T],
    }
    centers = np.sqrt(RINGS[:-1] * RINGS[1:])
    return found, {"frequency": centers, "real": their_rings, "synthetic": our_rings}


def measure(inputs: MetricInputs) -> Measured:
    """In every window."""
    found, curves = {}, {}
    for window in inputs.preset.windows:
        found[window.name], curves[window.name] = compare(
            inputs.pairs.real, inputs.pairs.synthetic, window=window, resamples=inputs.resamples
        )
    bands = [list(band) for band in BANDS]
    return Measured({"bands_cycles_per_pixel": bands, "windows": found}, curves)


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """One row for each band."""
    for where, figures in record["windows"].items():
        for k, (low, high) in enumerate(record["bands_cycles_per_pixel"]):
            band = {key: value[k] for key, value in figures.items()}
            yield TableRow(f"{low:g} to {high:g}", where, band)


def picture(curves: dict[str, Any], preset: Preset) -> bytes:
    """Power by frequency in every window."""
    return plots.overlay_spectra(curves)


METRIC = Metric(
    title="Radial power spectrum",
    note="Power of the synthetic slices over that of the real ones they were guided by, by frequency band "
    "in cycles per pixel. 1 is equal; above 1 at high frequencies is too much noise, below is blur.",
    measure=measure,
    rows=rows,
    picture=picture,
    rank=2,
)
