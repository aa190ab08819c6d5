"""KID, FID, precision and recall of patches' features: radiomic, learned in the domain, ImageNet's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from medsynth.evaluation.features import radiomic
from medsynth.evaluation.held_out import body
from medsynth.evaluation.learned_features import STEPS, learn
from medsynth.evaluation.metrics import distances
from medsynth.evaluation.metrics.base import Measured, Metric, MetricInputs, TableRow
from medsynth.evaluation.patches import cut, draw_places, windowed

PLACES = 16
# Training slices that the domain's own features are learned from; more make them little better.
LEARN_FROM = 200


def measure(inputs: MetricInputs) -> Measured:
    """KID, FID, precision and recall per feature set and window."""
    pairs = inputs.pairs
    places = draw_places(inputs.inside, count=PLACES, seed=inputs.seed)
    kept = [k for k, corners in enumerate(places) if len(corners)]
    corners = [places[k] for k in kept]
    options = inputs.options | {"patients": [pairs.owners[k] for k in kept]}
    training = inputs.once("training images", lambda: _training(inputs))
    sets: dict[str, dict] = {}
    for window in inputs.preset.windows:
        real, synthetic = (
            cut(windowed(planes[kept], window), corners) for planes in (pairs.real, pairs.synthetic)
        )
        extractors: dict[str, tuple[Callable, dict]] = {"radiomic": (radiomic, {})}
        if training is not None:
            teach = partial(
                learn,
                *training,
                window=window,
                seed=inputs.seed,
                steps=inputs.settings.get("features", STEPS),
            )
            network = inputs.once(f"features of {window.name}", teach)
            extractors["domain"] = (network, {"turns_told_right": network.skill})
        if inputs.imagenet is not None:
            extractors["imagenet"] = (inputs.imagenet, {})
        for name, (extract, about) in extractors.items():
            ours, theirs = (
                (f := extract(p)).reshape(len(kept), -1, f.shape[-1]) for p in (synthetic, real)
            )
            record = sets.setdefault(name, {"dimension": ours.shape[-1], "windows": {}})
            record["windows"][window.name] = about | distances.compare(theirs, ours, **options)
    record = {
        "patches_per_slice": PLACES,
        "floor_is": "KID: one half of the real slices against the other. FID, precision, recall: the "
        "same, and the figure compares halves of the same size",
        "sets": sets,
    }
    return Measured(record)


def _training(inputs: MetricInputs) -> tuple[np.ndarray, np.ndarray] | None:
    """Real slices to learn features from and their bodies, spread evenly over what there is."""
    if inputs.training is None:
        return None
    images = inputs.training()
    if len(images) > LEARN_FROM:
        images = images[np.linspace(0, len(images) - 1, LEARN_FROM).round().astype(int)]
    return images, body(images, preset=inputs.preset)


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """Four rows for each set of features."""
    for which, group in record["sets"].items():
        for where, figures in group["windows"].items():
            for key in ("kid", "fid", "precision", "recall"):
                what = f"{which} ({group['dimension']}): {key.upper() if 'id' in key else key}"
                yield TableRow(what, where, figures[key])


METRIC = Metric(
    title="KID, FID, precision and recall",
    note="Distances of features of 48 x 48 patches. KID, FID: 0 is equal. Precision: share of synthetic "
    "patches that look like some real one; recall: share of real ones that some synthetic one "
    "resembles; both to be read beside the floor, which is what other real slices reach.",
    measure=measure,
    rows=rows,
    rank=6,
)
