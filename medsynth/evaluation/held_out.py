"""Synthetic slices beside the real slices of held-out patients that guided them.

Each figure stands beside its floor, the same figure between the two halves of the real slices; a
figure without its floor says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from medsynth.conditions import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion import samplers
from medsynth.diffusion.denoiser import Denoiser
from medsynth.events import Listener, Stage, ignore
from medsynth.pathology.body import body_array
from medsynth.presets import Preset, Window
from medsynth.synthesis import generators, guidance_errors, sample, slice_noise

# Bands of the radial power spectrum, in cycles per pixel.
BANDS = ((0.03, 0.06), (0.06, 0.12), (0.12, 0.25), (0.25, 0.5))
# Only tells the body from the table: the training slices have no spacing of their own.
PIXEL_MM = 0.75
# Where a tissue's histogram peak is looked for, HU.
TISSUES = {"lung": (-950, -750), "fat": (-140, -60), "muscle": (20, 90)}


@dataclass(frozen=True, eq=False)
class Pairs:
    """`real` and `synthetic` (N, H, W) in physical units, pair by pair; guidance `errors` per slice."""

    real: np.ndarray
    synthetic: np.ndarray
    errors: tuple[float, ...]


def synthesize_pairs(
    denoiser: Denoiser,
    real: np.ndarray,
    *,
    preset: Preset,
    factor: int,
    steps: int = 20,
    sampler: str | None = None,
    seed: int = 0,
    listener: Listener = ignore,
) -> Pairs:
    """One synthetic slice for every real one (N, H, W), guided by it alone.

    `sampler` None is the preset's.
    """
    solver = samplers.build(sampler or preset.sampler)
    synthetic, errors = [], []
    noises = slice_noise(seed, range(len(real)), size=real.shape[1:], length_mm=0)
    with Stage("synthesizing", total=len(real), listener=listener) as stage:
        for plane, (_, noise) in zip(real, noises, strict=True):
            unit = torch.from_numpy(preset.intensity.to_unit(plane))[None, None]
            guidance = LowFrequencyGuidance([LowFrequency("anatomy", unit, factor)])
            x0 = sample(
                denoiser,
                solver,
                steps=steps,
                noise=noise,
                conditions=[guidance],
                generators=generators(seed, [len(synthetic)]),
            )
            errors.append(guidance_errors([guidance], x0)[0]["anatomy"])
            synthetic.append(preset.intensity.from_unit(x0[0, 0].clamp(-1, 1).numpy()))
            stage.advance()
    return Pairs(real.astype(np.float32), np.stack(synthetic), tuple(errors))


def power_ratio(ours: np.ndarray, theirs: np.ndarray, *, window: Window) -> list[float]:
    """Power of `ours` over `theirs` in each of `BANDS`, both seen through the window; 1 is equal."""
    powers = [
        np.mean([_band_power(plane, window) for plane in planes], axis=0)
        for planes in (ours, theirs)
    ]
    return (powers[0] / powers[1]).tolist()


def _band_power(plane: np.ndarray, window: Window) -> np.ndarray:
    low, high = window.limits
    seen = (np.clip(plane, low, high) - low) / (high - low)
    taper = np.outer(*(np.hanning(n) for n in seen.shape))
    power = np.abs(np.fft.fft2((seen - seen.mean()) * taper)) ** 2
    rows, columns = (np.fft.fftfreq(n) for n in seen.shape)
    radius = np.hypot(rows[:, None], columns)
    return np.array([power[(radius >= a) & (radius < b)].mean() for a, b in BANDS])


def tissue_peaks(planes: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """HU of the histogram's peak of each tissue, smoothed over 8 HU; `inside` (N, H, W) is body."""
    peaks = {}
    for name, (low, high) in TISSUES.items():
        counts, edges = np.histogram(planes[inside], bins=np.arange(low, high + 1))
        peaks[name] = float(edges[ndimage.gaussian_filter1d(counts.astype(float), 4).argmax()])
    return peaks


def body(planes: np.ndarray, *, preset: Preset) -> np.ndarray:
    """Which pixels of the slices (N, H, W) are body, bool; slice by slice."""
    spacing_mm = (PIXEL_MM, PIXEL_MM, 1.0)
    return np.concatenate(
        [body_array(plane[None], spacing_mm, preset.body_threshold) for plane in planes]
    )


def texture(planes: np.ndarray) -> dict[str, float]:
    """Standard deviation in HU of what a Gaussian of 1.5 pixels removes, inside lung and muscle."""
    found = {}
    for name, (low, high) in {"lung": (-950, -700), "muscle": (0, 100)}.items():
        values = []
        for plane in planes:
            smooth = ndimage.gaussian_filter(plane, 1.5)
            inside = ndimage.binary_erosion((smooth > low) & (smooth < high), iterations=3)
            values.append((plane - smooth)[inside])
        found[name] = float(np.concatenate(values).std())
    return found


def figures(pairs: Pairs, *, preset: Preset) -> dict:
    """All figures with their real-against-real floor."""
    even, odd = pairs.real[::2], pairs.real[1::2]
    inside = body(pairs.real, preset=preset)
    return {
        "slices": len(pairs.real),
        "low_band_error": max(pairs.errors),
        "power_bands_cycles_per_pixel": [list(band) for band in BANDS],
        "power_ratio": {
            w.name: power_ratio(pairs.synthetic, pairs.real, window=w) for w in preset.windows
        },
        "power_ratio_floor": {w.name: power_ratio(even, odd, window=w) for w in preset.windows},
        "tissue_peaks_hu": {
            "synthetic": tissue_peaks(pairs.synthetic, inside),
            "real": tissue_peaks(pairs.real, inside),
            "real_even": tissue_peaks(even, inside[::2]),
            "real_odd": tissue_peaks(odd, inside[1::2]),
        },
        "texture_hu": {
            "synthetic": texture(pairs.synthetic),
            "real": texture(pairs.real),
            "real_even": texture(even),
            "real_odd": texture(odd),
        },
    }


def sheet(pairs: Pairs, path: Path, *, preset: Preset, indices: Sequence[int]) -> None:
    """A picture: per chosen slice a row, per window the real slice and the synthetic one beside it."""
    rows = []
    for index in indices:
        cells = []
        for window in preset.windows:
            low, high = window.limits
            for plane in (pairs.real[index], pairs.synthetic[index]):
                grey = (np.clip((plane - low) / (high - low), 0, 1) * 255).astype(np.uint8)
                cells.append(grey)
        rows.append(np.hstack(cells))
    Image.fromarray(np.vstack(rows)).save(path, optimize=True)
