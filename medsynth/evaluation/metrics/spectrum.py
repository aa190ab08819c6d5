"""Radial power spectra through each window, and the noise power spectrum of even tissue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medsynth.domains import Window
from medsynth.evaluation import bootstrap
from medsynth.evaluation.patches import draw_places

# Bands of the radial power spectrum, in cycles per pixel.
BANDS = ((0.03, 0.06), (0.06, 0.12), (0.12, 0.25), (0.25, 0.5))
# Edges of the rings that are drawn: about 1.16 from one to the next.
RINGS = np.geomspace(0.01, 0.5, 28)
NPS_SIZE = 24
NPS_RINGS = np.linspace(0.02, 0.5, 13)
# Of so many places in each slice that are all inside the tissue the most even share is measured.
NPS_CANDIDATES, NPS_KEPT = 60, 6


def power(plane: np.ndarray, window: Window) -> np.ndarray:
    """|DFT|^2 of a slice (H, W) as the window shows it, tapered against its edges."""
    low, high = window.limits
    seen = (np.clip(plane, low, high) - low) / (high - low)
    taper = np.outer(*(np.hanning(n) for n in seen.shape))
    return np.abs(np.fft.fft2((seen - seen.mean()) * taper)) ** 2


def ring_means(power: np.ndarray, edges: Sequence[tuple[float, float]]) -> np.ndarray:
    """Mean power in each ring of frequencies [a, b) in cycles per pixel; NaN where a ring is empty."""
    rows, columns = (np.fft.fftfreq(n) for n in power.shape)
    radius = np.hypot(rows[:, None], columns)
    inside = [(radius >= a) & (radius < b) for a, b in edges]
    return np.array([power[ring].mean() if ring.any() else np.nan for ring in inside])


def spectra(planes: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Power of each slice in each band (N, 4) and each drawn ring (N, 27)."""
    rings = list(zip(RINGS[:-1], RINGS[1:], strict=True))
    found = [ring_means(power(plane, window), [*BANDS, *rings]) for plane in planes]
    return np.array(found)[:, : len(BANDS)], np.array(found)[:, len(BANDS) :]


def compare(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    window: Window,
    patients: Sequence[object],
    seed: int = 0,
) -> tuple[dict, dict]:
    """Power of synthetic over real slices, band by band; floor: one half of the real over the other.

    The second dict holds what is drawn: rings, and the power of each slice in them.
    """
    (ours, our_rings), (theirs, their_rings) = (spectra(p, window) for p in (synthetic, real))
    half = bootstrap.halves(patients)
    weights = bootstrap.slice_weights(patients, seed=seed)
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
