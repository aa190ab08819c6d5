"""Looks for what would tell real from synthetic without looking at the image: sizes, extremes, frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

# A figure that ranks nearly all synthetic images on one side of nearly all real ones.
SUSPICIOUS_AUC = 0.9
FEWEST = 4


@dataclass(frozen=True)
class Trace:
    """Plain figures of one image, none of which is about what it shows."""

    synthetic: bool
    figures: dict[str, float]


def trace(image: np.ndarray, *, native: tuple[int, int], synthetic: bool) -> Trace:
    """The figures of an image (D, side, side) that was (height, width) pixels in its file."""
    border = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], axis=1)
    figures = {
        "the size in pixels of the file": float(max(native)),
        "the ratio of width to height": native[1] / native[0],
        "the darkest value": float(image.min()),
        "the brightest value": float(image.max()),
        "the number of different values": float(len(np.unique(image))),
        "the share of the darkest value": float((image == image.min()).mean()),
        "the mean of the outermost pixels": float(border.mean()),
    }
    return Trace(synthetic, figures)


def giveaways(traces: Sequence[Trace]) -> tuple[str, ...]:
    """Warnings in words, one for each figure that alone would answer the question."""
    real = [t for t in traces if not t.synthetic]
    made = [t for t in traces if t.synthetic]
    if min(len(real), len(made)) < FEWEST:
        return ()
    found = []
    for name in real[0].figures:
        ours, theirs = ([t.figures[name] for t in part] for part in (made, real))
        auc = mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
        if max(auc, 1 - auc) >= SUSPICIOUS_AUC:
            found.append(
                f"{name} alone tells synthetic from real (AUC {max(auc, 1 - auc):.2f}; median "
                f"{np.median(ours):g} against {np.median(theirs):g}): crop, resample or convert one "
                "side so that both are alike"
            )
    return tuple(found)
