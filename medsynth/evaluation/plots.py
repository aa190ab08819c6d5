"""Pictures of the figures: histograms, spectra and noise spectra of real and synthetic slices."""

from __future__ import annotations

import io

import numpy as np

from medsynth.domains import Preset

# Distinguishable for people with any color vision, and in print.
REAL, SYNTHETIC = "#1f1f1f", "#d95f02"


def overlay_histograms(curves: dict[str, dict], preset: Preset) -> bytes:
    """Per window the share of the body at each value, as PNG."""
    figure, axes = _axes(len(curves))
    windows = {w.name: w for w in preset.windows}
    for ax, (name, curve) in zip(axes, curves.items(), strict=True):
        low, high = windows[name].limits
        bins = len(curve["real"])
        values = low + (np.arange(bins) + 0.5) * (high - low) / bins
        # The end bins hold all that the window shows as black or white; they would dwarf the rest.
        inner = slice(1, -1)
        ax.fill_between(values[inner], curve["real"][inner], color=REAL, alpha=0.18, lw=0)
        ax.plot(values[inner], curve["real"][inner], color=REAL, lw=1.2, label="real")
        ax.plot(
            values[inner], curve["synthetic"][inner], color=SYNTHETIC, lw=1.5, label="synthetic"
        )
        ax.set(title=name, xlabel=preset.units, ylim=(0, None))
    axes[0].set_ylabel("share of the body")
    return _png(figure, axes)


def overlay_spectra(curves: dict[str, dict], *, ylabel: str = "power (window = 1)") -> bytes:
    """Per window or tissue the mean power by frequency; shaded: 10 to 90 % of the real slices."""
    figure, axes = _axes(len(curves))
    for ax, (name, curve) in zip(axes, curves.items(), strict=True):
        frequency, real, synthetic = (curve[key] for key in ("frequency", "real", "synthetic"))
        known = np.isfinite(real).all(0) & (real.mean(0) > 0)
        frequency, real, synthetic = frequency[known], real[:, known], synthetic[:, known]
        low, high = np.quantile(real, (0.1, 0.9), axis=0)
        ax.fill_between(frequency, low, high, color=REAL, alpha=0.18, lw=0)
        ax.plot(frequency, real.mean(0), color=REAL, lw=1.2, label="real")
        ax.plot(frequency, synthetic.mean(0), color=SYNTHETIC, lw=1.5, label="synthetic")
        ax.set(title=name, xlabel="cycles per pixel", yscale="log")
    axes[0].set_ylabel(ylabel)
    return _png(figure, axes)


def _axes(count: int):  # noqa: ANN202 - matplotlib is imported late
    from matplotlib.figure import Figure  # no pyplot: no window, nothing global

    figure = Figure(figsize=(4.2 * max(count, 2), 3.2), layout="constrained", dpi=110)
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _png(figure, axes) -> bytes:  # noqa: ANN001
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
