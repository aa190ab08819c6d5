"""Do readers agree with each other, and with themselves? By libraries where they have it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

import krippendorff
import numpy as np
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from medsynth.studies.reading.statistics.intervals import percentile

REPEATS = 400


def counts_of(codes: np.ndarray, categories: int) -> np.ndarray:
    """(I, K): how many readers said k of image i; `codes` (R, I) from 0, below 0: no answer."""
    return np.stack([(codes == k).sum(axis=0) for k in range(categories)], axis=1)


def observed(counts: np.ndarray) -> float:
    """The share of pairs of readers that say the same of an image, mean over images."""
    total = counts.sum(axis=1)
    rated = counts[total > 1]
    total = total[total > 1]
    if not len(rated):
        return float("nan")
    return float(((rated * (rated - 1)).sum(axis=1) / (total * (total - 1))).mean())


def gwet_ac1(counts: np.ndarray) -> float:
    """Gwet's AC1 (Br J Math Stat Psychol 2008;61:29), also where answers are missing."""
    total = counts.sum(axis=1)
    answered = total > 0
    share = (counts[answered] / total[answered][:, None]).mean(axis=0)
    chance = float((share * (1 - share)).sum() / (counts.shape[1] - 1))
    return (observed(counts) - chance) / (1 - chance)


def fleiss(counts: np.ndarray) -> float:
    """Fleiss' kappa over the images that every reader answered."""
    total = counts.sum(axis=1)
    complete = counts[total == total.max()]
    if len(complete) == 0 or total.max() < 2:
        return float("nan")
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")
        return float(fleiss_kappa(complete))


def alpha(counts: np.ndarray) -> float:
    """Krippendorff's alpha, nominal."""
    if (counts.sum(axis=0) > 0).sum() < 2:
        return float("nan")  # only one answer was ever given
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def between_readers(codes: np.ndarray, categories: int, *, seed: int = 0) -> dict[str, Any] | None:
    """Every figure with its interval over images; None of a single reader."""
    counts = counts_of(codes, categories)
    if len(codes) < 2 or not (counts.sum(axis=1) > 1).any():
        return None
    measures: dict[str, Callable[[np.ndarray], float]] = {
        "observed": observed,
        "fleiss_kappa": fleiss,
        "krippendorff_alpha": alpha,
        "gwet_ac1": gwet_ac1,
    }
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(counts), size=(REPEATS, len(counts)))
    return {
        name: percentile(np.array([measure(counts[d]) for d in draws]), measure(counts)).to_dict()
        for name, measure in measures.items()
    }


def pairwise(codes: np.ndarray, names: list[str], categories: int) -> list[dict[str, Any]]:
    """Cohen's kappa of each two readers, from the raw answers to the images that both read."""
    found = []
    for a, b in combinations(range(len(codes)), 2):
        both = (codes[a] >= 0) & (codes[b] >= 0)
        if both.any():
            figure = cohen(codes[a][both], codes[b][both], categories)
            found.append({"readers": [names[a], names[b]], **figure})
    return found


def cohen(first: np.ndarray, second: np.ndarray, categories: int) -> dict[str, Any]:
    """Cohen's kappa of two rows of answers to the same images, and how often they are the same."""
    table = np.zeros((categories, categories))
    np.add.at(table, (first, second), 1)
    same = int(np.trace(table))
    kappa: float | None = None
    low: float | None = None
    high: float | None = None
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")
        found = cohens_kappa(table)
        if np.isfinite(found.kappa):
            kappa = float(found.kappa)
        if kappa is not None and np.isfinite(found.kappa_low + found.kappa_upp):
            low, high = float(found.kappa_low), float(found.kappa_upp)
    return {"images": len(first), "same": same, "kappa": kappa, "low": low, "high": high}
