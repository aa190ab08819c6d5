"""AUC, average precision, F1 and the others, with intervals over patients and seeds.

Test patients are drawn again with all their images (patients with and without a positive image apart, so
that no resample lacks a class), and seeds are drawn again beside them: the interval says what other
patients and another start of the training would have given. A difference between two arms uses
the same patients and seeds for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

REPEATS = 2000
LEVEL = 0.95
FIGURES = ("auc", "average_precision", "f1", "accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return {key: round(number, 6) for key, number in asdict(self).items()}

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is."""
        return self.low > 0


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each test image counts, (B, N), and each seed, (B, S); row 0 is the data as they are."""

    images: np.ndarray
    seeds: np.ndarray


def resamples(
    patients: Sequence[str], positive: np.ndarray, seeds: int, *, seed: int, repeats: int = REPEATS
) -> Resamples:
    """Draws of patients and of seeds, each with replacement; see the module."""
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(patients))
    owner = np.array([names.index(p) for p in patients])
    has = np.array([positive[owner == n].any() for n in range(len(names))])
    counts = np.zeros((repeats + 1, len(names)), int)
    counts[0] = 1
    for stratum in (has, ~has):
        members = np.flatnonzero(stratum)
        if len(members):
            even = np.full(len(members), 1 / len(members))
            counts[1:, members] = rng.multinomial(len(members), even, repeats)
    seed_counts = np.ones((repeats + 1, seeds), int)
    seed_counts[1:] = rng.multinomial(seeds, np.full(seeds, 1 / seeds), repeats)
    return Resamples(counts[:, owner], seed_counts)


def best_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The score from which on an image counts as positive, so that F1 is largest.

    Half-way to the next lower score; of several best ones the highest. Without a positive image, or a
    negative one, 0: an even chance.
    """
    if not positive.any() or positive.all():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + positive.sum())
    last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    best = int(np.argmax(np.where(last_of_ties, f1, -1)))
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] - 1
    return float((ranked[best] + below) / 2)


def weighted_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve for every row of image weights (B, N); ties count half."""
    grouped = _by_score(scores, positive, weights)
    below = np.cumsum(grouped[1], axis=1) - grouped[1]
    wins = (grouped[0] * (below + grouped[1] / 2)).sum(axis=1)
    return np.asarray(wins / (grouped[0].sum(axis=1) * grouped[1].sum(axis=1)))


def weighted_average_precision(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The sum over thresholds of precision times the recall that is gained there."""
    hits, alarms = (part[:, ::-1] for part in _by_score(scores, positive, weights))
    true, false = np.cumsum(hits, axis=1), np.cumsum(alarms, axis=1)
    precision = true / np.maximum(true + false, 1e-12)
    return np.asarray((hits * precision).sum(axis=1) / hits.sum(axis=1))


def _by_score(
    scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of positive and negative images at each distinct score, lowest first: (B, G) twice."""
    _, group = np.unique(scores, return_inverse=True)
    at = np.zeros((len(scores), group.max() + 1))
    at[np.arange(len(scores)), group] = 1
    return (weights * positive) @ at, (weights * ~positive) @ at


def figures_of(
    scores: np.ndarray, positive: np.ndarray, threshold: float, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Every one of `FIGURES` for each row of `weights`, (B,)."""
    called = scores >= threshold
    true = weights @ (called & positive)
    missed = weights @ (~called & positive)
    alarms = weights @ (called & ~positive)
    rejected = weights @ (~called & ~positive)
    return {
        "auc": weighted_auc(scores, positive, weights),
        "average_precision": weighted_average_precision(scores, positive, weights),
        "f1": 2 * true / np.maximum(2 * true + missed + alarms, 1e-12),
        "accuracy": (true + rejected) / weights.sum(axis=1),
        "sensitivity": true / (true + missed),
        "specificity": rejected / (alarms + rejected),
    }


def over_seeds(
    scores: np.ndarray, thresholds: Sequence[float], positive: np.ndarray, drawn: Resamples
) -> dict[str, np.ndarray]:
    """The mean over seeds of each figure in every resample, (B,); `scores` (S, N)."""
    each = [
        figures_of(row, positive, threshold, drawn.images)
        for row, threshold in zip(scores, thresholds, strict=True)
    ]
    share = drawn.seeds / drawn.seeds.sum(axis=1, keepdims=True)
    return {
        name: (np.stack([found[name] for found in each], axis=1) * share).sum(axis=1)
        for name in FIGURES
    }


def interval(values: np.ndarray) -> Interval:
    """The value of row 0 and the percentile interval of the others."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values[0]), float(low), float(high))
