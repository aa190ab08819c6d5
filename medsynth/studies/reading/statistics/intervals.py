"""A figure with its 95 % interval: shares by Wilson, also where readers or images repeat themselves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """A value and its interval; `se` and `df` where it came from a variance."""

    value: float
    low: float
    high: float
    se: float | None = None
    df: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not finite becomes None."""
        return {
            k: None if v is None or not math.isfinite(v) else v for k, v in asdict(self).items()
        }


def wilson(right: float, count: float, *, level: float = LEVEL) -> Figure:
    """A share of independent answers with its score interval (Wilson, JASA 1927;22:209)."""
    if not 0 <= right <= count or count <= 0:
        raise ValueError(f"expected 0 <= right <= count and count > 0, got {right} of {count}")
    low, high = proportion_confint(right, count, alpha=1 - level, method="wilson")
    return Figure(right / count, float(low), float(high))


def wilson_clustered(
    share: float, variance: float, df: float, *, least: float, level: float = LEVEL
) -> Figure:
    """The Wilson interval of a share with this variance: of as many answers as would have it.

    The effective number of answers is share (1 - share) / variance, made smaller by the square of the
    normal over Student's quantile (Korn and Graubard, Survey Methodology 1998;24:193). `least` is the
    effective number where the variance cannot be estimated: every answer right, or every one wrong.
    """
    spread = share * (1 - share)
    tail = 1 - (1 - level) / 2
    effective = least if spread == 0 or variance <= 0 else spread / variance
    quantile = float(t.ppf(tail, df)) if math.isfinite(df) else float(norm.ppf(tail))
    shrunk = effective * (float(norm.ppf(tail)) / quantile) ** 2
    found = wilson(share * shrunk, shrunk, level=level)
    return Figure(share, found.low, found.high, math.sqrt(max(variance, 0)), df)


def student(value: float, variance: float, df: float, *, level: float = LEVEL) -> Figure:
    """value -/+ Student's quantile times the standard error."""
    se = math.sqrt(max(variance, 0))
    reach = (
        float(t.ppf(1 - (1 - level) / 2, df)) * se if math.isfinite(df) else norm.ppf(0.975) * se
    )
    return Figure(value, value - float(reach), value + float(reach), se, df)


def percentile(values: np.ndarray, value: float, *, level: float = LEVEL) -> Figure:
    """The percentile interval of what resamples gave; NaN is left out."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Figure(value, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - level) / 2, 1 - (1 - level) / 2])
    return Figure(value, float(low), float(high))
