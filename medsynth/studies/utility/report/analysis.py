"""Every figure of the table with its interval, and every comparison that decides whether there is a gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medsynth.studies.utility.arms import TrainingArm
from medsynth.studies.utility.cells import SweepCell
from medsynth.studies.utility.figures import (
    FIGURES,
    Interval,
    best_threshold,
    interval,
    over_seeds,
    resamples,
)
from medsynth.studies.utility.prepared import PreparedStudy
from medsynth.studies.utility.report.words import sentences_of
from medsynth.studies.utility.training import TEST, VALIDATION

Records = Mapping[SweepCell, Mapping[str, Any]]


def analyze_study(prepared: PreparedStudy, done: Records) -> dict[str, Any]:
    """`rows` of the table, `comparisons` of each synthetic arm, and `sentences` that say what they show."""
    pool = prepared.pools[TEST]
    drawn = resamples(pool.patients, pool.positive, prepared.study.seeds, seed=prepared.study.seed)
    values, rows = {}, []
    for arm in prepared.arms:
        scores, thresholds = _scores(prepared, arm, done)
        values[arm] = over_seeds(scores, thresholds, pool.positive, drawn)
        rows.append(_row(arm, values[arm], values[prepared.arms[0]], scores, pool.positive))
    comparisons = [
        _comparison(arm, prepared.arms, values) for arm in prepared.arms if arm.kind == "synthetic"
    ]
    return {
        "interval": "95 %, percentiles of 2,000 resamples of test patients and of seeds",
        "rows": rows,
        "comparisons": comparisons,
        "sentences": sentences_of(rows[0], comparisons),
    }


def _scores(
    prepared: PreparedStudy, arm: TrainingArm, done: Records
) -> tuple[np.ndarray, list[float]]:
    """Logits of the test images (S, N) and the threshold of each seed."""
    positive = prepared.pools[VALIDATION].positive
    own = sorted((cell for cell in done if cell.arm == arm), key=lambda cell: cell.seed)
    scores = np.array([done[cell][TEST] for cell in own], float)
    thresholds = [best_threshold(np.array(done[cell][VALIDATION], float), positive) for cell in own]
    return scores, thresholds


def _row(
    arm: TrainingArm,
    values: Mapping[str, np.ndarray],
    base: Mapping[str, np.ndarray],
    scores: np.ndarray,
    positive: np.ndarray,
) -> dict[str, Any]:
    differences = {name: interval(values[name] - base[name]).to_dict() for name in FIGURES}
    wins = scores[:, positive][:, :, None] - scores[:, ~positive][:, None, :]
    by_seed = ((wins > 0) + 0.5 * (wins == 0)).mean(axis=(1, 2))
    return {
        "name": arm.name,
        "title": arm.title,
        "mode": arm.mode,
        "kind": arm.kind,
        "size": arm.size,
        "real_images": arm.real,
        "other_images": arm.extra,
        "steps": arm.steps,
        **{name: interval(values[name]).to_dict() for name in FIGURES},
        "difference_to_real_only": differences if arm.size else None,
        "auc_by_seed": [round(float(value), 4) for value in by_seed],
    }


def _comparison(
    arm: TrainingArm,
    arms: list[TrainingArm],
    values: Mapping[TrainingArm, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """AUC of a synthetic arm against real images only and every control of the same mode and size."""
    others = [other for other in arms if other.is_control and _same_size(other, arm)]
    against = []
    for other in (arms[0], *others):
        found = interval(values[arm]["auc"] - values[other]["auc"])
        against.append({"control": other.title, "kind": other.kind, **found.to_dict()})
    return {
        "name": arm.name,
        "title": arm.title,
        "mode": arm.mode,
        "size": arm.size,
        "auc": interval(values[arm]["auc"]).to_dict(),
        "against": against,
        "verdict": verdict_of(against),
    }


def _same_size(other: TrainingArm, arm: TrainingArm) -> bool:
    return (other.mode, other.size) == (arm.mode, arm.size)


def verdict_of(against: list[dict[str, Any]]) -> str:
    """What the differences allow to be said; the first of `against` is real images only."""
    found = [Interval(a["value"], a["low"], a["high"]) for a in against]
    if found[0].high < 0:
        return "worse than real only"
    if not found[0].above_zero:
        return "no gain shown"
    if all(one.above_zero for one in found):
        return "gain over real only and over every control"
    return "gain over real only, not over every control"
