"""How unlike the images of a set are: their nearest pairs, within an anatomy, between, across splits."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

import numpy as np

from medsynth.factory.layouts.base import Entry
from medsynth.factory.pages.survey import read_small

# Beyond so many every other image is compared, as evenly as the rows come.
MOST_IMAGES = 20_000
BLOCK, PAIRS = 500, 12
# Below so many the mean image would be an image.
ENOUGH_FOR_A_MEAN = 20

Pair = dict[str, Any]


def similarity(entries: Iterable[Entry]) -> dict[str, Any]:
    """Correlation of pictures of 32 x 32, less the mean of the set; 1 is the same picture.

    `nearest`: for every image the nearest of another anatomy, as quantiles; `pairs` the nearest of all
    and `across_splits` those that are in two splits, both of different anatomies.
    """
    names, groups, splits, small = [], [], [], []
    for entry in entries:
        names.append(entry["id"])
        groups.append(entry["group"])
        splits.append(entry["split"])
        small.append(read_small(entry["small"]))
    step = -(-len(names) // MOST_IMAGES) or 1
    chosen = list(range(0, len(names), step))
    if len(chosen) < 2:
        return {"compared": len(chosen), "pairs": [], "across_splits": []}
    features = _features(np.stack([small[i] for i in chosen]))
    group = np.unique([groups[i] for i in chosen], return_inverse=True)[1]
    split = np.unique([splits[i] for i in chosen], return_inverse=True)[1]
    best_other, best_same = np.full(len(chosen), -1.0), np.full(len(chosen), -1.0)
    pairs: list[tuple[float, int, int]] = []
    across: list[tuple[float, int, int]] = []
    for start in range(0, len(chosen), BLOCK):
        part = slice(start, start + BLOCK)
        close = features[part] @ features.T
        rows = np.arange(start, start + len(close))
        close[rows - start, rows] = -2
        same = group[part, None] == group[None]
        best_same[part] = np.where(same, close, -1).max(axis=1)
        other = np.where(same, -1, close)
        best_other[part] = other.max(axis=1)
        later = np.where(rows[:, None] < np.arange(len(chosen))[None], other, -1)
        pairs = _kept(pairs, later, start)
        across = _kept(across, np.where(split[part, None] == split[None], -1, later), start)

    def named(found: list[tuple[float, int, int]]) -> list[Pair]:
        return [
            {"similarity": round(score, 4), "images": [names[chosen[a]], names[chosen[b]]]}
            for score, a, b in sorted(found, reverse=True)
        ]

    return {
        "compared": len(chosen),
        "how": "correlation of 32 x 32 pictures"
        + (", less the mean of the set" if len(chosen) >= ENOUGH_FOR_A_MEAN else ""),
        "nearest_of_another_anatomy": _quantiles(best_other[best_other > -1]),
        "nearest_of_the_same_anatomy": _quantiles(best_same[best_same > -1]),
        "pairs": named(pairs),
        "across_splits": named(across),
    }


def _features(small: np.ndarray) -> np.ndarray:
    values = small.astype(np.float32)
    if len(values) >= ENOUGH_FOR_A_MEAN:
        values = values - values.mean(axis=0)
    values = values - values.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(norm, 1e-6)


def _kept(
    pairs: list[tuple[float, int, int]], close: np.ndarray, start: int
) -> list[tuple[float, int, int]]:
    count = min(PAIRS, close.size)
    flat = np.argpartition(close, close.size - count, axis=None)[-count:]
    a, b = np.unravel_index(flat, close.shape)
    new = [
        (float(close[i, j]), int(i) + start, int(j))
        for i, j in zip(a, b, strict=True)
        if close[i, j] > -1
    ]
    return heapq.nlargest(PAIRS, [*pairs, *new])


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    at = {"median": 50, "95 %": 95, "highest": 100}
    return {name: round(float(np.percentile(values, q)), 4) for name, q in at.items()}
