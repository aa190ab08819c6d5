"""d' and criterion: a reader who calls everything synthetic is right half of the time and sees nothing.

Synthetic is the signal. Shares are corrected log-linearly, so that none is 0 or 1 (Hautus, Behavior
Research Methods 1995;27:46); variances by Gourevitch and Galanter (Psychometrika 1967;32:25).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import norm

from medsynth.studies.reading.statistics.crossed import CrossedFigures
from medsynth.studies.reading.statistics.intervals import Figure, student


def of_reader(hits: float, signals: int, false_alarms: float, noises: int) -> dict[str, Any]:
    """d' and criterion c of one reader; c below 0: leans to "synthetic".

    `hits` of `signals` synthetic images, and `false_alarms` of `noises` real ones, called synthetic.
    """
    if not signals or not noises:
        return {"d_prime": None, "criterion": None}
    d, c, variance = _d_and_c(hits, signals, false_alarms, noises)
    return {
        "d_prime": student(d, variance, math.inf).to_dict(),
        "criterion": student(c, variance / 4, math.inf).to_dict(),
    }


def of_pairs(right: float, count: int) -> dict[str, Any]:
    """d' of two-alternative forced choice: sqrt(2) z(share right)."""
    share = (right + 0.5) / (count + 1)
    variance = 2 * share * (1 - share) / (count * norm.pdf(norm.ppf(share)) ** 2)
    return {"d_prime": student(math.sqrt(2) * norm.ppf(share), variance, math.inf).to_dict()}


def _d_and_c(h: float, signals: int, f: float, noises: int) -> tuple[float, float, float]:
    hit, alarm = (h + 0.5) / (signals + 1), (f + 0.5) / (noises + 1)
    z_hit, z_alarm = float(norm.ppf(hit)), float(norm.ppf(alarm))
    variance = hit * (1 - hit) / (signals * norm.pdf(z_hit) ** 2)
    variance += alarm * (1 - alarm) / (noises * norm.pdf(z_alarm) ** 2)
    return z_hit - z_alarm, -(z_hit + z_alarm) / 2, float(variance)


def pooled(called: np.ndarray, synthetic: np.ndarray) -> dict[str, Any]:
    """The mean d' and criterion of readers; `called` (R, I) synthetic 1, real 0, NaN: neither."""
    found: dict[str, Any] = {}
    for name, sign in (("d_prime", -1.0), ("criterion", 1.0)):
        crossed = _crossed(called, synthetic, sign)
        these = student(*crossed.of_these_readers())
        anyone = crossed.of_any_readers()
        found[name] = {
            "these_readers": these.to_dict(),
            "any_readers": None if anyone is None else student(*anyone).to_dict(),
        }
    return found


def d_prime(called: np.ndarray, synthetic: np.ndarray) -> Figure:
    """The mean d' of these readers."""
    return student(*_crossed(called, synthetic, -1.0).of_these_readers())


def _crossed(called: np.ndarray, synthetic: np.ndarray, sign: float) -> CrossedFigures:
    """d' = z(H) - z(F) for sign -1; c = -(z(H) + z(F)) / 2 for sign 1."""
    scale = 1.0 if sign < 0 else -0.5
    theta = np.zeros(len(called))
    influence = np.zeros(called.shape)
    known = np.isfinite(called)
    values = np.nan_to_num(called)
    for part, factor in ((synthetic, scale), (~synthetic, scale * sign)):
        counts = known[:, part].sum(axis=1)
        sums = values[:, part].sum(axis=1)
        share = (sums + 0.5) / (counts + 1)
        z = norm.ppf(share)
        theta += factor * z
        off = np.where(known[:, part], values[:, part] - (sums / np.maximum(counts, 1))[:, None], 0)
        slope = factor / norm.pdf(z) / np.maximum(counts, 1)
        influence[:, part] = off * slope[:, None]
    return CrossedFigures(theta, influence, synthetic.astype(int))
