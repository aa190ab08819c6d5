"""Tissues whose values are known in a domain's units: where their peaks lie, how grainy they are.

Only CT in HU has such tissues. Gray values of a display say nothing absolute; there the histograms
are the figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth.domains import Tissue
from medsynth.evaluation import bootstrap
from medsynth.evaluation.bootstrap import SliceResamples
from medsynth.evaluation.metrics.base import Measured, Metric, MetricInputs, TableRow


def peak_counts(planes: np.ndarray, inside: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Pixels of each slice's body at each whole unit of the tissue's range, (N, units)."""
    edges = np.arange(tissue.peak[0], tissue.peak[1] + 1)
    return np.array(
        [np.histogram(p[mask], bins=edges)[0] for p, mask in zip(planes, inside, strict=True)]
    )


def peak(counts: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Where counts (..., units), smoothed over 8 units, are highest."""
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 4, axis=-1)
    return tissue.peak[0] + smooth.argmax(axis=-1).astype(float)


def compare_peaks(
    real: np.ndarray,
    synthetic: np.ndarray,
    inside: np.ndarray,
    *,
    tissue: Tissue,
    resamples: SliceResamples,
) -> dict:
    """How far the synthetic peak lies above the real one; floor: one half of the real from the other."""
    ours, theirs = (peak_counts(p, inside, tissue) for p in (synthetic, real))
    weights, half = resamples.weights, resamples.half
    return {
        "value": float(peak(ours.sum(0), tissue) - peak(theirs.sum(0), tissue)),
        "interval": bootstrap.interval(
            peak(weights @ ours, tissue) - peak(weights @ theirs, tissue)
        ),
        "floor": float(peak(theirs[half].sum(0), tissue) - peak(theirs[~half].sum(0), tissue)),
        "floor_interval": bootstrap.interval(
            peak(weights * half @ theirs, tissue) - peak(weights * ~half @ theirs, tissue)
        ),
        "synthetic": float(peak(ours.sum(0), tissue)),
        "real": float(peak(theirs.sum(0), tissue)),
    }


def texture(planes: np.ndarray, tissue: Tissue) -> float:
    """Standard deviation of what a Gaussian of 1.5 pixels removes, inside the tissue."""
    if tissue.texture is None:
        raise ValueError("this tissue has no range of values for its texture")
    low, high = tissue.texture
    values = []
    for plane in planes:
        smooth = ndimage.gaussian_filter(plane, 1.5)
        inside = ndimage.binary_erosion((smooth > low) & (smooth < high), iterations=3)
        values.append((plane - smooth)[inside])
    joined = np.concatenate(values)
    return float(joined.std()) if joined.size else float("nan")


def measure(inputs: MetricInputs) -> Measured:
    """Every tissue of the domain."""
    pairs, found = inputs.pairs, {}
    half = inputs.resamples.half
    for name, tissue in inputs.preset.tissues.items():
        found[name] = {
            "peak": compare_peaks(
                pairs.real,
                pairs.synthetic,
                inputs.inside,
                tissue=tissue,
                resamples=inputs.resamples,
            )
        }
        if tissue.texture:
            found[name]["texture"] = {
                "synthetic": texture(pairs.synthetic, tissue),
                "real": texture(pairs.real, tissue),
                "real_halves": [texture(pairs.real[h], tissue) for h in (half, ~half)],
            }
    return Measured({"units": inputs.preset.units, "tissues": found})


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """Peak and texture, a column for each tissue."""
    for where, figures in record["tissues"].items():
        yield TableRow(f"peak, {record['units']}", where, figures["peak"])
        if "texture" in figures:
            graininess = figures["texture"]
            cell = {
                "value": graininess["synthetic"],
                "floor": graininess["real"],
                "floor_interval": graininess["real_halves"],
            }
            yield TableRow(f"texture, {record['units']}", where, cell)


METRIC = Metric(
    title="Tissue peaks and texture",
    note="How far the histogram's peak of a tissue lies above the real one; 0 is equal. Texture: standard "
    "deviation of what a Gaussian of 1.5 pixels removes.",
    measure=measure,
    rows=rows,
    rank=5,
)
