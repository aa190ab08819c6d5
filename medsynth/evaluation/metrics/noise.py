"""The noise power spectrum of even tissue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth.domains import Preset
from medsynth.evaluation import bootstrap, plots
from medsynth.evaluation.metrics.base import Measured, Metric, MetricInputs, TableRow
from medsynth.evaluation.patches import draw_places
from medsynth.evaluation.radial_power import ring_means

NPS_SIZE = 24
NPS_RINGS = np.linspace(0.02, 0.5, 13)
# Of so many places in each slice that are all inside the tissue the most even share is measured.
NPS_CANDIDATES, NPS_KEPT = 60, 6


def noise_power(
    real: np.ndarray,
    synthetic: np.ndarray,
    inside: np.ndarray,
    *,
    limits: tuple[float, float],
    patients: Sequence[object],
    seed: int = 0,
) -> tuple[dict, dict] | None:
    """Noise power spectrum in even tissue: power and standard deviation, synthetic beside real.

    Regions of 24 x 24 pixels in which the real slice, smoothed, stays within `limits` (physical
    units), the most even of each slice; the same regions in both. A plane is fitted and taken away
    (IEC 62220-1 takes a polynomial), and |DFT|^2 / pixels averaged over regions and rings: its sum
    over frequencies is the variance. None where too few slices have such tissue.
    """
    smooth = np.stack([ndimage.gaussian_filter(plane, 2.0) for plane in real])
    tissue = inside & (smooth > limits[0]) & (smooth < limits[1])
    try:
        places = draw_places(tissue, count=NPS_CANDIDATES, seed=seed, size=NPS_SIZE, share=0.98)
    except ValueError:
        return None
    kept = [k for k, corners in enumerate(places) if len(corners)]
    chosen = {k: _most_even(smooth[k], places[k]) for k in kept}
    ours, theirs = (
        np.array([_noise_spectrum(planes[k], chosen[k]) for k in kept])
        for planes in (synthetic, real)
    )
    owners = [patients[k] for k in kept]
    weights = bootstrap.slice_weights(owners, seed=seed)
    half = bootstrap.halves(owners)
    variance = {"ours": ours[:, -1], "theirs": theirs[:, -1]}
    ratio = np.sqrt((weights @ variance["ours"]) / (weights @ variance["theirs"]))
    found = {
        "value": float(np.sqrt(variance["ours"].mean() / variance["theirs"].mean())),
        "interval": bootstrap.interval(ratio),
        "floor": float(np.sqrt(theirs[half, -1].mean() / theirs[~half, -1].mean())),
        "floor_interval": bootstrap.interval(_half_over_half(theirs[:, -1], half, weights)),
        "slices": len(kept),
        "std_synthetic": float(np.sqrt(variance["ours"].mean())),
        "std_real": float(np.sqrt(variance["theirs"].mean())),
    }
    centers = (NPS_RINGS[:-1] + NPS_RINGS[1:]) / 2
    drawn = {"frequency": centers, "real": theirs[:, :-1], "synthetic": ours[:, :-1]}
    return found, drawn


def _half_over_half(variance: np.ndarray, half: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standard deviation of one half's slices over the other's, for every resample."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample without a slice of one half
        first, second = ((weights * h) @ variance / (weights * h).sum(1) for h in (half, ~half))
        return np.sqrt(first / second)


def _most_even(smooth: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The corners of the regions in which the smoothed slice varies least."""
    spread = [smooth[r : r + NPS_SIZE, c : c + NPS_SIZE].std() for r, c in corners]
    return corners[np.argsort(spread, kind="stable")[:NPS_KEPT]]


def _noise_spectrum(plane: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Mean noise power of a slice's regions in each ring, and their variance as the last item."""
    rings = list(zip(NPS_RINGS[:-1], NPS_RINGS[1:], strict=True))
    found = []
    for row, column in corners:
        region = _detrended(plane[row : row + NPS_SIZE, column : column + NPS_SIZE])
        power = np.abs(np.fft.fft2(region)) ** 2 / region.size
        found.append([*ring_means(power, rings), region.var()])
    return np.mean(found, axis=0)


def _detrended(region: np.ndarray) -> np.ndarray:
    rows, columns = (axis.ravel() for axis in np.indices(region.shape))
    terms = np.stack([np.ones(region.size), rows, columns], axis=1)
    fitted = terms @ np.linalg.lstsq(terms, region.ravel(), rcond=None)[0]
    return region - fitted.reshape(region.shape)


def measure(inputs: MetricInputs) -> Measured:
    """Per tissue where the domain has any, else per window."""
    named = inputs.preset.tissues
    limits = {name: t.texture for name, t in named.items() if t.texture} or {
        window.name: window.limits for window in inputs.preset.windows
    }
    found: dict[str, dict | None] = {}
    curves = {}
    for name, (low, high) in limits.items():
        pairs = inputs.pairs
        result = noise_power(
            pairs.real, pairs.synthetic, inputs.inside, limits=(low, high), **inputs.options
        )
        found[name] = None if result is None else result[0]
        if result is not None:
            curves[name] = result[1]
    return Measured({"units": inputs.preset.units, "tissues": found}, curves or None)


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """One row, a column for each tissue that there is."""
    for where, figures in record["tissues"].items():
        if figures is not None:
            yield TableRow("noise, synthetic over real", where, figures)


def picture(curves: dict[str, Any], preset: Preset) -> bytes:
    """Noise power by frequency in every tissue."""
    return plots.overlay_spectra(curves, ylabel=f"{preset.units}² · pixel²")


METRIC = Metric(
    title="Noise power spectrum",
    note="Even regions of tissue, a plane taken away. The figure is the standard deviation of the noise "
    "there, synthetic over real; the picture shows whether it is as fine.",
    measure=measure,
    rows=rows,
    picture=picture,
    rank=3,
)
