"""Coherence along z: how much neighboring slices of a result differ, beside its reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def slice_difference(volume: np.ndarray, body: np.ndarray, *, limits: tuple[float, float]) -> float:
    """Mean |difference of neighboring slices| where both are body, values clipped to a window.

    Args:
        volume: (k, j, i), physical units.
        body: (k, j, i), bool.
        limits: lowest and highest value that the window tells apart.

    Returns:
        In physical units; nan where no two neighboring slices share body.
    """
    total, count = 0.0, 0
    for k in range(len(volume) - 1):  # slice by slice: a volume's temporary would double memory
        inside = body[k] & body[k + 1]
        low, high = np.clip(volume[k][inside], *limits), np.clip(volume[k + 1][inside], *limits)
        total += float(np.abs(high.astype(np.float64) - low).sum())
        count += int(inside.sum())
    return total / count if count else float("nan")


def coherence(
    result: np.ndarray,
    reference: np.ndarray,
    body: np.ndarray,
    *,
    windows: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, float]]:
    """Slice difference of `result` over that of `reference`, in each window.

    A ratio of 1 is as coherent as the reference, above 1 flickers, below 1 is too smooth.

    Args:
        result: (k, j, i), physical units.
        reference: (k, j, i), the anatomy reference on the same grid.
        body: (k, j, i), bool.
        windows: name of each window to its limits in physical units.

    Returns:
        For each window `result` and `reference` in physical units, and their `ratio`.

    Raises:
        ValueError: the three shapes differ.
    """
    if not result.shape == reference.shape == body.shape:
        raise ValueError(
            f"result, reference and body must share one (k, j, i) shape, got {result.shape}, "
            f"{reference.shape} and {body.shape}"
        )
    body = body.astype(bool)
    figures = {}
    for name, limits in windows.items():
        ours = slice_difference(result, body, limits=limits)
        theirs = slice_difference(reference, body, limits=limits)
        ratio = ours / theirs if theirs else float("nan")
        figures[name] = {"result": ours, "reference": theirs, "ratio": ratio}
    return figures
