"""Readers crossed with images: each reader's figure, and how the readers' figures vary together.

Every figure here is a smooth function of means over images, so that each image has an influence on
each reader's figure; sums of products of influences are the (co)variances (for the AUC they are those
of DeLong, Biometrics 1988;44:837).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class CrossedFigures:
    """`theta` (R,) one figure for each reader; `influence` (R, I), 0 where an image was not read.

    `strata` (I,): images of one stratum (real, or of one generator) were drawn together.
    """

    theta: np.ndarray
    influence: np.ndarray
    strata: np.ndarray

    def covariances(self) -> tuple[np.ndarray, np.ndarray]:
        """The (R, R) covariances over images, for each stratum (H, R, R), and its degrees of freedom."""
        parts, freedom = [], []
        for stratum in np.unique(self.strata):
            part = self.influence[:, self.strata == stratum]
            count = part.shape[1]
            parts.append(part @ part.T * (count / max(count - 1, 1)))
            freedom.append(max(count - 1, 1))
        return np.stack(parts), np.array(freedom, float)

    def of_these_readers(self) -> tuple[float, float, float]:
        """Mean over these very readers; its variance over images, and degrees of freedom."""
        parts, freedom = self.covariances()
        by_stratum = parts.mean(axis=(1, 2))
        variance = float(by_stratum.sum())
        total = float((by_stratum**2 / freedom).sum())
        df = variance**2 / total if total > 0 else float(freedom.sum())
        return float(self.theta.mean()), variance, df

    def of_any_readers(self) -> tuple[float, float, float] | None:
        """The mean for readers such as these: variance over readers and images; None of one reader.

        Obuchowski and Rockette's model with Hillis' degrees of freedom (Stat Med 2007;26:596). The
        variance is never below that of readers of equal skill: with three readers their figures are
        often closer together by luck than chance alone would have them, and the interval too short
        (92 % instead of 94 % coverage).
        """
        readers = len(self.theta)
        if readers < 2:
            return None
        covariance = self.covariances()[0].sum(axis=0)
        between = max(float(covariance[~np.eye(readers, dtype=bool)].mean()), 0.0)
        mean_square = float(self.theta.var(ddof=1))
        equal_skill = float(np.diag(covariance).mean()) - between
        total = max(mean_square, equal_skill) + readers * between
        _, fixed, fixed_df = self.of_these_readers()
        hillis = total**2 / (mean_square**2 / (readers - 1)) if mean_square > 0 else np.inf
        # Other readers can only be less certain than these.
        variance, df = max(total / readers, fixed), min(hillis, fixed_df)
        return float(self.theta.mean()), variance, df


def shares(right: np.ndarray, strata: np.ndarray) -> CrossedFigures:
    """Each reader's share of right answers; `right` (R, I) in 0 to 1, NaN where there is no answer.

    Strata keep their shares of the images: theta = sum over h of w_h times the mean in stratum h.
    """
    known = np.isfinite(right)
    values = np.where(known, right, 0.0)
    theta = np.zeros(len(right))
    influence = np.zeros(right.shape)
    for stratum in np.unique(strata):
        here = strata == stratum
        counts = known[:, here].sum(axis=1)
        weight = counts / np.maximum(known.sum(axis=1), 1)
        mean = values[:, here].sum(axis=1) / np.maximum(counts, 1)
        theta += weight * mean
        off = np.where(known[:, here], values[:, here] - mean[:, None], 0.0)
        influence[:, here] = off * (weight / np.maximum(counts, 1))[:, None]
    return CrossedFigures(theta, influence, strata)


def bootstrap_mean(
    right: np.ndarray, strata: np.ndarray, *, seed: int, repeats: int = 1000
) -> np.ndarray:
    """Means over resampled readers and, within strata, resampled images, (repeats,)."""
    rng = np.random.default_rng(seed)
    readers, images = right.shape
    by_reader = rng.multinomial(readers, np.full(readers, 1 / readers), size=repeats)
    by_image = np.zeros((repeats, images))
    for stratum in np.unique(strata):
        here = np.flatnonzero(strata == stratum)
        by_image[:, here] = rng.multinomial(len(here), np.full(len(here), 1 / len(here)), repeats)
    known = np.isfinite(right).astype(float)
    hits = np.einsum("br,ri,bi->b", by_reader, np.nan_to_num(right), by_image, optimize=True)
    counts = np.einsum("br,ri,bi->b", by_reader, known, by_image, optimize=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(hits / counts)
