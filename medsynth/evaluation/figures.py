"""All figures of a set of pairs, by name, each beside its floor: what `medsynth evaluate` writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation import bootstrap
from medsynth.evaluation.features import radiomic
from medsynth.evaluation.held_out import Pairs, body
from medsynth.evaluation.learned_features import STEPS, learn
from medsynth.evaluation.metrics import (
    distances,
    diversity,
    histograms,
    spectrum,
    tissues,
    two_sample,
)
from medsynth.evaluation.names import FIGURES
from medsynth.evaluation.patches import cut, draw_places, windowed
from medsynth.events import Listener, Stage, ignore

PLACES = 16
# Training slices that the domain's own features are learned from; more make them little better.
LEARN_FROM = 200
EXPLAINED = {
    "floor": "the same figure between two halves of the real slices (alternate slices of each "
    "patient), unless the figure says otherwise",
    "interval": "95 %, bootstrap over slices: blocks of 2 neighbors, within each patient; it says "
    "nothing about other patients",
}


@dataclass(frozen=True, eq=False)
class Material:
    """What the figures are made from.

    `training()` gives real slices (N, H, W) of the training patients in physical units; None leaves
    out the features that are learned from them. `imagenet` maps patches (M, S, S) to features.
    """

    pairs: Pairs
    preset: Preset
    training: Callable[[], np.ndarray] | None = None
    imagenet: Callable[[np.ndarray], np.ndarray] | None = None
    seed: int = 0
    effort: two_sample.Effort = field(default_factory=two_sample.Effort)
    learn_steps: int = STEPS

    @property
    def options(self) -> dict[str, Any]:
        """What every comparison is told."""
        return {"patients": self.pairs.owners, "seed": self.seed}


@dataclass(eq=False)
class Drawn:
    """What pictures are drawn from: curves by figure and window."""

    histograms: dict[str, dict] = field(default_factory=dict)
    spectra: dict[str, dict] = field(default_factory=dict)
    noise: dict[str, dict] = field(default_factory=dict)


def measure(
    material: Material, *, only: Sequence[str] = FIGURES, listener: Listener = ignore
) -> tuple[dict[str, dict], Drawn]:
    """The figures named in `only`, for JSON, and what their pictures are drawn from.

    Raises:
        ValueError: an unknown name, or slices that leave no place for a patch.
    """
    unknown = set(only) - set(FIGURES)
    if unknown:
        raise ValueError(f"no figure {sorted(unknown)[0]!r}, expected some of {', '.join(FIGURES)}")
    inside = body(material.pairs.real, preset=material.preset)
    drawn, found = Drawn(), {}
    if "two_sample" in only:
        found["two_sample"] = two_sample.paired_test(
            material.pairs.real,
            material.pairs.synthetic,
            inside,
            windows=material.preset.windows,
            patients=material.pairs.owners,
            effort=material.effort,
            seed=material.seed,
            listener=listener,
        )
    parts: dict[str, Callable[[], dict]] = {
        "spectrum": lambda: _spectrum(material, drawn),
        "noise": lambda: _noise(material, inside, drawn),
        "histograms": lambda: _histograms(material, inside, drawn),
        "tissues": lambda: _tissues(material, inside),
        "features": lambda: _features(material, inside),
        "diversity": lambda: _diversity(material),
    }
    chosen = [name for name in parts if name in only]
    with Stage("figures", total=len(chosen), listener=listener) as stage:
        for name in chosen:
            found[name] = parts[name]()
            stage.advance(message=name)
    return _without_nan(found), drawn


def _without_nan(value: Any) -> Any:
    """`value` with None for what could not be measured (a tissue that is not there): JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _spectrum(material: Material, drawn: Drawn) -> dict:
    pairs, per_window = material.pairs, {}
    for window in material.preset.windows:
        per_window[window.name], drawn.spectra[window.name] = spectrum.compare(
            pairs.real, pairs.synthetic, window=window, **material.options
        )
    bands = [list(band) for band in spectrum.BANDS]
    return {"bands_cycles_per_pixel": bands, "windows": per_window}


def _noise(material: Material, inside: np.ndarray, drawn: Drawn) -> dict:
    """Per tissue where the domain has any, else per window."""
    named = material.preset.tissues
    limits = {name: t.texture for name, t in named.items() if t.texture} or {
        window.name: window.limits for window in material.preset.windows
    }
    found: dict[str, dict | None] = {}
    for name, (low, high) in limits.items():
        pairs = material.pairs
        result = spectrum.noise_power(
            pairs.real, pairs.synthetic, inside, limits=(low, high), **material.options
        )
        found[name] = None if result is None else result[0]
        if result is not None:
            drawn.noise[name] = result[1]
    return {"units": material.preset.units, "tissues": found}


def _histograms(material: Material, inside: np.ndarray, drawn: Drawn) -> dict:
    pairs, per_window = material.pairs, {}
    for window in material.preset.windows:
        per_window[window.name] = histograms.compare(
            pairs.real, pairs.synthetic, inside, window=window, **material.options
        )
        drawn.histograms[window.name] = {
            name: histograms.histograms(planes, inside, window).mean(0)
            for name, planes in (("real", pairs.real), ("synthetic", pairs.synthetic))
        }
    return {"units": material.preset.units, "windows": per_window}


def _tissues(material: Material, inside: np.ndarray) -> dict:
    pairs, found = material.pairs, {}
    half = bootstrap.halves(pairs.owners)
    for name, tissue in material.preset.tissues.items():
        found[name] = {
            "peak": tissues.compare_peaks(
                pairs.real, pairs.synthetic, inside, tissue=tissue, **material.options
            )
        }
        if tissue.texture:
            found[name]["texture"] = {
                "synthetic": tissues.texture(pairs.synthetic, tissue),
                "real": tissues.texture(pairs.real, tissue),
                "real_halves": [tissues.texture(pairs.real[h], tissue) for h in (half, ~half)],
            }
    return {"units": material.preset.units, "tissues": found}


def _features(material: Material, inside: np.ndarray) -> dict:
    """KID, FID, precision and recall per feature set and window."""
    pairs = material.pairs
    places = draw_places(inside, count=PLACES, seed=material.seed)
    kept = [k for k, corners in enumerate(places) if len(corners)]
    corners = [places[k] for k in kept]
    options = material.options | {"patients": [pairs.owners[k] for k in kept]}
    training = _training(material)
    sets: dict[str, dict] = {}
    for window in material.preset.windows:
        real, synthetic = (
            cut(windowed(planes[kept], window), corners) for planes in (pairs.real, pairs.synthetic)
        )
        extractors: dict[str, tuple[Callable, dict]] = {"radiomic": (radiomic, {})}
        if training is not None:
            network = learn(
                *training, window=window, seed=material.seed, steps=material.learn_steps
            )
            extractors["domain"] = (network, {"turns_told_right": network.skill})
        if material.imagenet is not None:
            extractors["imagenet"] = (material.imagenet, {})
        for name, (extract, about) in extractors.items():
            ours, theirs = (
                (f := extract(p)).reshape(len(kept), -1, f.shape[-1]) for p in (synthetic, real)
            )
            record = sets.setdefault(name, {"dimension": ours.shape[-1], "windows": {}})
            record["windows"][window.name] = about | distances.compare(theirs, ours, **options)
    return {
        "patches_per_slice": PLACES,
        "floor_is": "KID: one half of the real slices against the other. FID, precision, recall: the "
        "same, and the figure compares halves of the same size",
        "sets": sets,
    }


def _training(material: Material) -> tuple[np.ndarray, np.ndarray] | None:
    """Real slices to learn features from and their bodies, spread evenly over what there is."""
    if material.training is None:
        return None
    images = material.training()
    if len(images) > LEARN_FROM:
        images = images[np.linspace(0, len(images) - 1, LEARN_FROM).round().astype(int)]
    return images, body(images, preset=material.preset)


def _diversity(material: Material) -> dict:
    pairs = material.pairs
    return {
        "floor_is": "MS-SSIM between the real slices of the same pairs",
        "windows": {
            window.name: diversity.compare(
                pairs.real, pairs.synthetic, window=window, **material.options
            )
            for window in material.preset.windows
        },
    }
