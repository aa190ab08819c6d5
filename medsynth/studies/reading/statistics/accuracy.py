"""How often readers are right: of these readers, of readers such as these, and against chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import t
from statsmodels.stats.proportion import binom_tost

from medsynth.studies.reading.statistics.crossed import CrossedFigures, bootstrap_mean, shares
from medsynth.studies.reading.statistics.intervals import (
    Figure,
    percentile,
    wilson,
    wilson_clustered,
)

CHANCE = 0.5


def accuracy(
    right: np.ndarray, strata: np.ndarray, *, margin: float, seed: int = 0
) -> dict[str, Any]:
    """Pooled figures of `right` (R, I): 1, 0, half of an unsure answer, NaN of none."""
    answers = right[np.isfinite(right)]
    crossed = shares(right, strata)
    images = int(np.isfinite(right).any(axis=0).sum())
    these = of_these_readers(crossed, images)
    anyone = of_any_readers(crossed, images)
    found: dict[str, Any] = {
        "right": float(answers.sum()),
        "answers": int(answers.size),
        "naive_wilson": wilson(float(answers.sum()), answers.size).to_dict(),
        "these_readers": these.to_dict(),
        "any_readers": None if anyone is None else anyone.to_dict(),
        "bootstrap": percentile(
            bootstrap_mean(right, strata, seed=seed), float(answers.mean())
        ).to_dict(),
        "design_effect": observed_design_effect(these, answers.size),
        "equivalence": {
            "margin": margin,
            "these_readers": tost(these, margin),
            "any_readers": None if anyone is None else tost(anyone, margin),
        },
    }
    return found


def of_these_readers(crossed: CrossedFigures, images: int) -> Figure:
    """The readers stay, the images are a sample."""
    share, variance, df = crossed.of_these_readers()
    return wilson_clustered(min(max(share, 0), 1), variance, df, least=images)


def of_any_readers(crossed: CrossedFigures, images: int) -> Figure | None:
    """Readers and images are samples."""
    found = crossed.of_any_readers()
    if found is None:
        return None
    share, variance, df = found
    return wilson_clustered(min(max(share, 0), 1), variance, df, least=images)


def observed_design_effect(pooled: Figure, answers: int) -> float | None:
    """How many answers say as much as one independent answer."""
    spread = pooled.value * (1 - pooled.value)
    if not spread or not pooled.se:
        return None
    return round(pooled.se**2 * answers / spread, 3)


def tost(pooled: Figure, margin: float) -> dict[str, Any]:
    """Two one-sided tests: is the share within `margin` of chance? (Schuirmann 1987)"""
    if not pooled.se or pooled.df is None:
        return {"p": None, "equivalent": False}
    below = (pooled.value - (CHANCE - margin)) / pooled.se
    above = ((CHANCE + margin) - pooled.value) / pooled.se
    p = float(max(t.sf(below, pooled.df), t.sf(above, pooled.df)))
    return {"p": p, "equivalent": p < 0.05}


def tost_of_reader(right: float, count: int, margin: float) -> dict[str, Any]:
    """The same for one reader, with exact binomial tests."""
    p = float(binom_tost(round(right), count, CHANCE - margin, CHANCE + margin)[0])
    return {"p": p, "equivalent": p < 0.05}
