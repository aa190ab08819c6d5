"""The audit of a network for the report: unguided samples, and samples guided by held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation.bootstrap import interval, slice_weights
from medsynth.evaluation.lesion_fidelity.figure import wilson
from medsynth.evaluation.memorization import audit as memorization
from medsynth.evaluation.memorization.audit import Calibration, RealImages
from medsynth.evaluation.memorization.similarity import MEASURES, ReferenceIndex
from medsynth.events import Listener, ignore
from medsynth.records.audit import Match

EXPLAINED = (
    "Similarity of each sample to its nearest training image, 1 for a copy. The threshold lies above "
    "what images of different patients reach; floor: real images and those of other patients. "
    "The low-pass image of a guided sample is its reference's; `fine` compares what guidance leaves open"
)


def audit(
    samples: dict[str, tuple[np.ndarray, Sequence[str]]],
    training: RealImages,
    held_out: RealImages | None,
    *,
    preset: Preset,
    seed: int = 0,
    pairs: int = 3,
    calibration: Calibration | None = None,
    listener: Listener = ignore,
) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """The figures for JSON, and per kind of sample the pictures of the worst pairs.

    Args:
        samples: kind ("unguided", "guided by held-out patients") to images (N, H, W) in physical units,
            and the owner of each (patient; anything unique where nobody guided it).
        calibration: of an earlier call with the same images.
    """
    reference_index = ReferenceIndex(training.images, to_unit=preset.intensity.to_unit)
    if calibration is None:
        calibration = memorization.calibrate(
            reference_index, training, held_out, seed=seed, listener=listener
        )
    figures: dict[str, Any] = {
        "what": EXPLAINED,
        "training_images": len(training.images),
        "training_patients": len(set(training.patients)),
        "thresholds": {name: round(v, 4) for name, v in calibration.thresholds.items()},
        "controls": calibration.controls,
        "samples": {},
    }
    pictures = {}
    for kind, (images, owners) in samples.items():
        matches = memorization.nearest_images(
            images, reference_index, training, calibration, listener=listener
        )
        figures["samples"][kind] = summary(matches, owners, calibration, seed=seed)
        pictures[kind] = [
            memorization.pair_picture(images[m.slice], m, training, preset=preset)
            for m in nearest_pairs(matches, pairs)
        ]
    return figures, pictures


def nearest_pairs(matches: Sequence[tuple[Match, ...]], count: int) -> list[Match]:
    """The worst match of each of the `count` samples that come nearest to their thresholds."""
    each = [max(same, key=_excess) for same in matches]
    return sorted(each, key=_excess, reverse=True)[:count]


def _excess(match: Match) -> float:
    return float(np.arctanh(min(match.similarity, 0.9999)) - np.arctanh(match.threshold))


def summary(
    matches: Sequence[tuple[Match, ...]],
    owners: Sequence[str],
    calibration: Calibration,
    *,
    seed: int,
) -> dict[str, Any]:
    """Share above a threshold, and per measure the similarity beside that of real images.

    The interval of the share is Wilson's: a bootstrap of no hits would be [0, 0] for any number of
    samples. The medians have bootstrap intervals.
    """
    near = [any(m.is_copy for m in same) for same in matches]
    record: dict[str, Any] = {
        "samples": len(matches),
        "near_copies": sum(near),
        "share": round(sum(near) / len(near), 4),
        "interval": [round(edge, 4) for edge in wilson(sum(near), len(near))],
        "worst": [
            {
                "sample": m.slice,
                "training_image": m.training_image,
                "measure": m.measure,
                "similarity": m.similarity,
                "distance": round(1 - m.similarity, 4),
                "threshold": m.threshold,
            }
            for m in nearest_pairs(matches, 5)
        ],
        "measures": {},
    }
    weights = slice_weights(list(owners), seed=seed)
    for column, name in enumerate(MEASURES):
        values = np.array([same[column].similarity for same in matches])
        medians = np.array([np.median(np.repeat(values, row)) for row in weights])
        record["measures"][name] = {
            "value": round(float(np.median(values)), 4),
            "interval": [round(edge, 4) for edge in interval(medians)],
            "largest": round(float(values.max()), 4),
            "floor": round(float(np.median(calibration.floor[name])), 4),
            "floor_largest": round(float(np.max(calibration.floor[name])), 4),
            "threshold": round(calibration.thresholds[name], 4),
        }
    return record
