"""Many readers, many cases: AUC by DeLong, Obuchowski and Rockette's model, and the U-statistic.

Obuchowski and Rockette, Commun Stat Simul 1995;24:285; Hillis, Stat Med 2007;26:596 (degrees of
freedom); DeLong, Biometrics 1988;44:837; Gallas, Acad Radiol 2006;13:353 (one-shot estimate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import f as f_distribution

from medsynth.studies.reading.statistics.crossed import CrossedFigures
from medsynth.studies.reading.statistics.intervals import Figure, student


def kernel(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """1 where a positive case has the higher score, one half of a tie: (..., m, n)."""
    above = positive[..., :, None] > negative[..., None, :]
    equal = positive[..., :, None] == negative[..., None, :]
    return np.asarray(above + 0.5 * equal)


def aucs(scores: np.ndarray, positive: np.ndarray) -> CrossedFigures:
    """Each reader's AUC, and each case's influence on it; `scores` (R, I), complete."""
    wins = kernel(scores[:, positive], scores[:, ~positive])
    theta = wins.mean(axis=(1, 2))
    influence = np.zeros(scores.shape)
    influence[:, positive] = (wins.mean(axis=2) - theta[:, None]) / positive.sum()
    influence[:, ~positive] = (wins.mean(axis=1) - theta[:, None]) / (~positive).sum()
    return CrossedFigures(theta, influence, positive.astype(int))


def auc_of_reader(scores: np.ndarray, positive: np.ndarray) -> Figure:
    """One reader's AUC with DeLong's interval."""
    found = student(*aucs(scores[None], positive).of_these_readers())
    z = student(found.value, (found.se or 0.0) ** 2, np.inf)
    return Figure(z.value, max(z.low, 0.0), min(z.high, 1.0), z.se)


@dataclass(frozen=True)
class ORResult:
    """Obuchowski and Rockette's test of treatments and the interval of each treatment's mean."""

    f: float
    df: float
    p: float
    difference: Figure
    treatments: tuple[Figure, ...]
    components: dict[str, float]


def covariance_parts(covariance: np.ndarray, treatments: int) -> dict[str, float]:
    """Var, Cov1, Cov2, Cov3: means over the (T R, T R) covariances by what two figures share.

    Cov1: the reader, not the treatment; Cov2: the treatment; Cov3: neither.
    """
    readers = len(covariance) // treatments
    t = np.repeat(np.arange(treatments), readers)
    r = np.tile(np.arange(readers), treatments)
    same_t, same_r = t[:, None] == t, r[:, None] == r
    kinds = {
        "var": same_t & same_r,
        "cov1": ~same_t & same_r,
        "cov2": same_t & ~same_r,
        "cov3": ~same_t & ~same_r,
    }
    return {name: float(covariance[which].mean()) for name, which in kinds.items() if which.any()}


def obuchowski_rockette(
    theta: np.ndarray, parts: dict[str, float], *, own_cov2: np.ndarray | None = None
) -> ORResult:
    """Readers and cases at random; `theta` (T, R) from the same readers and cases in each treatment.

    `own_cov2` (T,): Cov2 of each treatment alone, for the treatments' own intervals.
    """
    treatments, readers = theta.shape
    by_t, by_r, mean = theta.mean(axis=1), theta.mean(axis=0), theta.mean()
    ms_t = readers * ((by_t - mean) ** 2).sum() / (treatments - 1)
    rest = theta - by_t[:, None] - by_r + mean
    ms_tr = (rest**2).sum() / ((treatments - 1) * (readers - 1))
    denominator = ms_tr + readers * max(parts["cov2"] - parts["cov3"], 0.0)
    df = denominator**2 / (ms_tr**2 / ((treatments - 1) * (readers - 1)))
    ratio = ms_t / denominator
    own = np.full(treatments, parts["cov2"]) if own_cov2 is None else own_cov2
    singles = []
    for row, cov2 in zip(theta, own, strict=True):
        square = row.var(ddof=1)
        total = square + readers * max(float(cov2), 0.0)
        singles.append(
            student(float(row.mean()), total / readers, total**2 / (square**2 / (readers - 1)))
        )
    return ORResult(
        f=float(ratio),
        df=float(df),
        p=float(f_distribution.sf(ratio, treatments - 1, df)),
        difference=student(float(by_t[0] - by_t[-1]), 2 * denominator / readers, df),
        treatments=tuple(singles),
        components={**parts, "ms_t": float(ms_t), "ms_tr": float(ms_tr)},
    )


def compare(scores: np.ndarray, positive: np.ndarray) -> ORResult:
    """AUCs of treatments (T, R, I) read by the same readers on the same cases."""
    treatments, readers, cases = scores.shape
    crossed = aucs(scores.reshape(treatments * readers, cases), positive)
    covariance = crossed.covariances()[0].sum(axis=0)
    own = [
        covariance_parts(covariance[k : k + readers, k : k + readers], 1)["cov2"]
        for k in range(0, treatments * readers, readers)
    ]
    parts = covariance_parts(covariance, treatments)
    theta = crossed.theta.reshape(treatments, readers)
    return obuchowski_rockette(theta, parts, own_cov2=np.array(own))


def u_statistic(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """The readers' mean AUC and its variance over readers and cases, without bias.

    The variance is a sum of eight moments of the kernel, of two terms that share the reader, the
    negative or the positive case, or not; each moment is the mean over all such pairs of terms.
    """
    wins = kernel(scores[:, positive], scores[:, ~positive])
    shape = np.array(wins.shape)
    moments: dict[tuple[bool, bool, bool], float] = {}
    sums: dict[tuple[bool, bool, bool], float] = {}
    for shared in np.ndindex(2, 2, 2):
        key = (bool(shared[0]), bool(shared[1]), bool(shared[2]))
        summed = wins.sum(axis=tuple(a for a in range(3) if not key[a]), keepdims=True)
        sums[key] = float((summed**2).sum())
    for key in sums:
        # Terms that share exactly these: by inclusion and exclusion over those that share at least.
        free = [a for a in range(3) if not key[a]]
        exactly = 0.0
        for extra in np.ndindex(*(2,) * len(free)):
            more = list(key)
            for a, taken in zip(free, extra, strict=True):
                more[a] = bool(taken)
            exactly += (-1) ** sum(extra) * sums[(more[0], more[1], more[2])]
        pairs = np.prod([n if k else n * (n - 1) for n, k in zip(shape, key, strict=True)])
        moments[key] = exactly / float(pairs) if pairs else 0.0
    variance = -moments[(False, False, False)]
    for key, moment in moments.items():
        share = np.prod([1 / n if k else (n - 1) / n for n, k in zip(shape, key, strict=True)])
        variance += float(share) * moment
    return float(wins.mean()), float(variance)


def pooled_auc(scores: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """The readers' mean AUC: of these readers (DeLong), of any readers (OR), and the U-statistic."""
    crossed = aucs(scores, positive)
    anyone = crossed.of_any_readers()
    mean, variance = u_statistic(scores, positive)
    found: dict[str, Any] = {
        "these_readers": _within(student(*crossed.of_these_readers())).to_dict(),
        "any_readers": None if anyone is None else _within(student(*anyone)).to_dict(),
        "u_statistic": None,
    }
    if len(scores) > 1 and anyone is not None and variance > 0:
        found["u_statistic"] = _within(student(mean, variance, anyone[2])).to_dict()
    return found


def _within(figure: Figure) -> Figure:
    return Figure(figure.value, max(figure.low, 0.0), min(figure.high, 1.0), figure.se, figure.df)
