"""Diversity: how alike two synthetic slices are, by MS-SSIM, beside the real slices that guided them.

Mode collapse makes all images alike (Odena et al. 2017). Pairs are of the same patient where it has
several slices, and the same pairs in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from monai.metrics import MultiScaleSSIMMetric

from medsynth.domains import Window
from medsynth.evaluation import bootstrap
from medsynth.evaluation.metrics.base import (
    Measured,
    Metric,
    MetricInputs,
    TableRow,
    rows_by_window,
)
from medsynth.evaluation.patches import windowed

PAIRS = 24
# Wang et al. 2003, from fine to coarse; small images have room for fewer scales.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
KERNEL = 11


def draw_pairs(patients: Sequence[object], *, seed: int, most: int = PAIRS) -> np.ndarray:
    """Different pairs of slices of one patient, or of any where no patient has two: (P, 2)."""
    first, second = np.triu_indices(len(patients), k=1)
    labels = np.asarray(patients)
    same = labels[first] == labels[second]
    chosen = np.flatnonzero(same if same.any() else np.ones_like(same))
    drawn = np.random.default_rng(seed).permutation(chosen)[:most]
    return np.stack([first[drawn], second[drawn]], axis=1)


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """MS-SSIM of pairs of slices (P, H, W) with values 0 to 1: (P,)."""
    side = min(first.shape[1:])
    scales = max(1, min(len(SCALES), int(np.log2(max(side / KERNEL, 1))) + 1))
    weights = np.array(SCALES[:scales]) / sum(SCALES[:scales])
    metric = MultiScaleSSIMMetric(2, data_range=1.0, kernel_size=KERNEL, weights=weights.tolist())
    values: list[Any] = [
        metric(*(torch.from_numpy(np.ascontiguousarray(v))[None, None] for v in pair))
        for pair in zip(first, second, strict=True)
    ]
    return torch.cat(values)[:, 0].numpy()


def compare(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    window: Window,
    patients: Sequence[object],
    seed: int = 0,
) -> dict:
    """Mean MS-SSIM between different synthetic slices; the floor is that of the real slices."""
    pairs = draw_pairs(patients, seed=seed)
    weights = bootstrap.slice_weights([0] * len(pairs), seed=seed, block=1)
    found = []
    for planes in (synthetic, real):
        seen = windowed(planes, window)
        values = ms_ssim(seen[pairs[:, 0]], seen[pairs[:, 1]])
        found.append((float(values.mean()), bootstrap.interval(weights @ values / len(pairs))))
    (value, spread), (floor, floor_spread) = found
    return {
        "value": value,
        "interval": spread,
        "floor": floor,
        "floor_interval": floor_spread,
    }


def measure(inputs: MetricInputs) -> Measured:
    """In every window."""
    pairs = inputs.pairs
    found = {
        window.name: compare(pairs.real, pairs.synthetic, window=window, **inputs.options)
        for window in inputs.preset.windows
    }
    floor = "MS-SSIM between the real slices of the same pairs"
    return Measured({"floor_is": floor, "windows": found})


def rows(record: dict[str, Any]) -> Iterable[TableRow]:
    """One row, a column for each window."""
    return rows_by_window(record, "MS-SSIM")


METRIC = Metric(
    title="Diversity",
    note="MS-SSIM between different synthetic slices, beside that of the real slices in the same pairs. "
    "Well above it means that they are too much alike.",
    measure=measure,
    rows=rows,
    rank=7,
)
