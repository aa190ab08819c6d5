"""By source: how often its images are called synthetic, d', the ROC curve, and lesions that are seen."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t

from medsynth.studies.reading.matrix import AnswerMatrix, called_synthetic, category, score
from medsynth.studies.reading.rows import REAL, SYNTHETIC
from medsynth.studies.reading.statistics import accuracy, crossed, detection, mrmc
from medsynth.studies.reading.statistics.intervals import Figure, student


def signal_figures(table: AnswerMatrix) -> dict[str, Any]:
    """d', criterion, ROC, and each source: how often it is called synthetic."""
    called = table.of(called_synthetic)
    found: dict[str, Any] = {"sources": _sources(table, called)}
    if table.synthetic.any() and not table.synthetic.all():
        found["detection"] = detection.pooled(called, table.synthetic)
        scores = table.of(score)
        complete = np.isfinite(scores).all(axis=0)
        positive = table.synthetic[complete]
        if positive.any() and not positive.all():
            found["roc"] = mrmc.pooled_auc(scores[:, complete], positive)
            found["roc"]["images"] = int(complete.sum())
            found["roc"]["curve"] = _curve(scores[:, complete], positive)
    pairs = _generators(table, called)
    if pairs:
        found["generators"] = pairs
    return found


def _sources(table: AnswerMatrix, called: np.ndarray) -> dict[str, Any]:
    """Of each source, the share that was called synthetic, with the interval over its images."""
    found = {}
    for source in dict.fromkeys(row.source for row in table.rows):
        items = {row.item for row in table.rows if row.source == source}
        here = np.array([item in items for item in table.items])
        part = called[:, here]
        truth = {row.truth for row in table.rows if row.source == source}
        if not np.isfinite(part).any():
            continue
        figure = accuracy.of_these_readers(
            crossed.shares(part, table.strata[here]), int(np.isfinite(part).any(axis=0).sum())
        )
        unsure = sum(category(row) == "unsure" for row in table.rows if row.source == source)
        found[source] = {
            "truth": truth.pop() if len(truth) == 1 else "both",
            "images": int(here.sum()),
            "answers": int(np.isfinite(part).sum()),
            "unsure": unsure,
            "called_synthetic": figure.to_dict(),
        }
    return found


def _generators(table: AnswerMatrix, called: np.ndarray) -> list[dict[str, Any]]:
    """Each two generators: the difference in how often they are recognized (Welch, over images)."""
    of_item = {row.item: row for row in table.rows}
    sources = np.array([of_item[item].source for item in table.items])
    made = list(dict.fromkeys(sources[table.synthetic].tolist()))
    found = []
    for a, b in combinations(made, 2):
        means = [_item_means(called[:, sources == name]) for name in (a, b)]
        if min(len(m) for m in means) < 2:
            continue
        figure = _welch(means[0], means[1])
        p = None
        if figure.se and figure.df:
            p = float(2 * t.sf(abs(figure.value) / figure.se, figure.df))
        found.append({"generators": [a, b], "difference": figure.to_dict(), "p": p})
    return found


def _item_means(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    return np.asarray(np.nan_to_num(values).sum(axis=0)[counts > 0] / counts[counts > 0])


def _welch(a: np.ndarray, b: np.ndarray) -> Figure:
    """Difference of two means with Welch's degrees of freedom."""
    parts = [x.var(ddof=1) / len(x) for x in (a, b)]
    variance = float(sum(parts))
    freedom = sum(p**2 / (len(x) - 1) for p, x in zip(parts, (a, b), strict=True))
    df = variance**2 / freedom if freedom else float(len(a) + len(b) - 2)
    return student(float(a.mean() - b.mean()), variance, df)


def _curve(scores: np.ndarray, positive: np.ndarray) -> list[list[float]]:
    """The readers' mean ROC: at each false positive share, the mean of their true positive shares."""
    grid = np.linspace(0, 1, 51)
    curves = []
    for row in scores:
        levels = np.unique(row)[::-1]
        hits = [0.0, *[(row[positive] >= v).mean() for v in levels]]
        alarms = [0.0, *[(row[~positive] >= v).mean() for v in levels]]
        curves.append(np.interp(grid, alarms, hits))
    return [
        [round(float(x), 4), round(float(y), 4)]
        for x, y in zip(grid, np.mean(curves, axis=0), strict=True)
    ]


def finding_figures(table: AnswerMatrix) -> dict[str, Any]:
    """Lesions found in real and in synthetic images: are they read alike?"""
    found: dict[str, Any] = {}
    said = table.of(lambda row: float(row.answer == "yes"))
    for truth, which in ((REAL, ~table.synthetic), (SYNTHETIC, table.synthetic)):
        for lesion in (True, False, None):
            of_item = {row.item: row.lesion for row in table.rows}
            here = which & np.array([of_item[item] is lesion for item in table.items])
            if here.any():
                part = said[:, here]
                figure = accuracy.of_these_readers(
                    crossed.shares(part, table.strata[here]), int(here.sum())
                )
                name = {True: "with a lesion", False: "without", None: "unknown"}[lesion]
                found[f"{truth}, {name}"] = {
                    "images": int(here.sum()),
                    "called_lesion": figure.to_dict(),
                }
                if lesion:
                    found[f"{truth}, {name}"] |= _at_place(table, here)
    return found


def _at_place(table: AnswerMatrix, here: np.ndarray) -> dict[str, Any]:
    """How often a lesion was marked where it is, of the images of which that is known."""
    hits = table.of(lambda row: None if row.found_at_place is None else float(row.found_at_place))
    known = here & np.isfinite(hits).any(axis=0)
    if not known.any():
        return {}
    shares = crossed.shares(hits[:, known], table.strata[known])
    figure = accuracy.of_these_readers(shares, int(known.sum()))
    return {"with_place": int(known.sum()), "found_at_place": figure.to_dict()}
