"""Distances between two sets of features: KID, FID, precision and recall, each beside its floor.

Patches of one slice are alike, so the slice is the unit: no figure compares patches of a slice with
patches of the same slice, or of the slice that it guided, which are near by construction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth.evaluation import bootstrap

NEIGHBORS = 3
FID_REPEATS = 100


def compare(
    real: np.ndarray, synthetic: np.ndarray, *, patients: Sequence[object], seed: int = 0
) -> dict[str, dict]:
    """KID, FID, precision and recall of features (n slices, K patches, D), with intervals and floors.

    Features are scaled by the mean and standard deviation of the real ones. KID compares all slices.
    FID, precision and recall are biased by the number of slices, so that they compare one half of the
    real slices with the synthetic slices made from the other half, both ways, and the floor compares
    the two halves of the real slices: the same sizes.
    """
    real, synthetic = _scaled(real, synthetic)
    half = bootstrap.halves(patients)
    size = min(half.sum(), (~half).sum())
    a, b = np.flatnonzero(half)[:size], np.flatnonzero(~half)[:size]
    weights = bootstrap.slice_weights(patients, seed=seed)
    # One draw for both halves: a half has the same patients in the same order.
    owners = [patients[k] for k in a]
    return {
        "kid": _figure(*_kid(real, synthetic, weights))
        | _floor(*_kid(real[a], real[b], bootstrap.slice_weights(owners, seed=seed))),
        "fid": _figure(*_fid([(real[a], synthetic[b]), (real[b], synthetic[a])], owners, seed))
        | _floor(*_fid([(real[a], real[b])], owners, seed)),
        **_precision_recall(real, synthetic, a, b, owners, seed),
    }


def _figure(value: float, resampled: np.ndarray) -> dict:
    return {"value": float(value), "interval": bootstrap.interval(resampled)}


def _floor(value: float, resampled: np.ndarray) -> dict:
    return {"floor": float(value), "floor_interval": bootstrap.interval(resampled)}


def _scaled(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = real.reshape(-1, real.shape[-1]).astype(np.float64)
    mean, std = flat.mean(0), flat.std(0)
    varies = std > 1e-9
    return (real - mean)[..., varies] / std[varies], (synthetic - mean)[..., varies] / std[varies]


def kernel_means(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean of KID's kernel (x . y / D + 1)^3 over the patches of each pair of slices, (n, m)."""
    (n, k, d), (m, p, _) = x.shape, y.shape
    gram = (x.reshape(n * k, d) @ y.reshape(m * p, d).T / d + 1) ** 3
    return gram.reshape(n, k, m, p).mean(axis=(1, 3))


def _kid(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """The unbiased estimator (Gretton et al. 2012 eq. 4, pairs left out; Binkowski et al. 2018)."""
    cross = kernel_means(x, y)
    h = kernel_means(x, x) + kernel_means(y, y) - cross - cross.T
    apart = 1 - np.eye(len(h))

    def mean(w: np.ndarray) -> np.ndarray:
        total = np.einsum("ri,ij,rj->r", w, apart, w, optimize=True)
        return np.einsum("ri,ij,rj->r", w, h * apart, w, optimize=True) / total

    return mean(np.ones((1, len(h))))[0], mean(weights)


def frechet(x: np.ndarray, y: np.ndarray, weights: tuple[np.ndarray, ...] | None = None) -> float:
    """Frechet distance of Gaussians fitted to patches (n, K, D), slices weighted (Heusel et al. 2017)."""
    weights = weights or (np.ones(len(x)), np.ones(len(y)))
    (mean_x, cov_x), (mean_y, cov_y) = (
        _moments(v, w) for v, w in zip((x, y), weights, strict=True)
    )
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # tr sqrt(Cx Cy) = tr sqrt(Cx^1/2 Cy Cx^1/2), which is symmetric.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_y @ root), 0)).sum()
    return float(((mean_x - mean_y) ** 2).sum() + np.trace(cov_x) + np.trace(cov_y) - 2 * cross)


def _moments(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = features.reshape(-1, features.shape[-1])
    per_patch = np.repeat(weights, features.shape[1]) / (weights.sum() * features.shape[1])
    mean = per_patch @ flat
    centered = flat - mean
    return mean, (centered * per_patch[:, None]).T @ centered


def _fid(
    sets: list[tuple[np.ndarray, np.ndarray]], owners: Sequence[object], seed: int
) -> tuple[float, np.ndarray]:
    """The mean over `sets`, and resamples moved so that their mean is the figure.

    A resample holds slices twice and therefore a larger bias than the figure has; only its spread
    means something.
    """
    value = np.mean([frechet(x, y) for x, y in sets])
    draws = [bootstrap.slice_weights(owners, seed=s, repeats=FID_REPEATS) for s in (seed, seed + 1)]
    resampled = np.array(
        [np.mean([frechet(x, y, w) for x, y in sets]) for w in zip(*draws, strict=True)]
    )
    return float(value), resampled - resampled.mean() + value


def _precision_recall(
    real: np.ndarray, synthetic: np.ndarray, a: np.ndarray, b: np.ndarray, owners: list, seed: int
) -> dict[str, dict]:
    """Improved precision and recall (Kynkaanniemi et al. 2019): 3 nearest neighbors of other slices."""
    weights = bootstrap.slice_weights(owners, seed=seed)
    found = {}
    real_real = (covered(real[a], real[b]) + covered(real[b], real[a])) / 2
    for name, first, second in (("precision", real, synthetic), ("recall", synthetic, real)):
        hits = (covered(first[a], second[b]) + covered(first[b], second[a])) / 2
        found[name] = _figure(hits.mean(), weights @ hits / weights.sum(1))
        found[name] |= _floor(real_real.mean(), weights @ real_real / weights.sum(1))
    return found


def covered(manifold: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Share of each tested slice's patches that lie on the manifold: features (n, K, D) to (m,).

    A patch lies on it when it is nearer to one of its patches than that one's third neighbor among the
    patches of other slices.
    """
    (n, k, d), m = manifold.shape, len(tested)
    points, others = manifold.reshape(n * k, d), tested.reshape(-1, d)
    among = _squared_distances(points, points)
    owner = np.repeat(np.arange(n), k)
    among[owner[:, None] == owner] = np.inf
    radius = np.partition(among, NEIGHBORS - 1, axis=1)[:, NEIGHBORS - 1]
    inside = (_squared_distances(others, points) <= radius).any(axis=1)
    return inside.reshape(m, -1).mean(axis=1)


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T, 0)
