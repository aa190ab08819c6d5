"""The first phase, whose purpose readers do not know: are synthetic images rated or read otherwise?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from medsynth.studies.reading.rows import REAL, SYNTHETIC, AnswerRow
from medsynth.studies.reading.statistics.intervals import student

# Words in a free remark that show that a reader thought of it unasked.
SUSPICIONS = ("synthetic", "fake", "artificial", "generated", "not real", "unreal", " ai ", "ai-")


def figures(rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Mean quality of real and synthetic images, their difference over images, and what was said."""
    by_item: dict[str, list[AnswerRow]] = {}
    for row in rows:
        by_item.setdefault(row.item, []).append(row)
    means = {
        truth: np.array(
            [
                np.mean([float(row.answer) for row in part])
                for part in by_item.values()
                if part[0].truth == truth
            ]
        )
        for truth in (REAL, SYNTHETIC)
    }
    found: dict[str, Any] = {
        "answers": len(rows),
        "quality": {
            truth: {"images": len(values), **_mean(values)} for truth, values in means.items()
        },
        "suspected": [
            _said(row) for row in rows if any(w in f" {row.remark.lower()} " for w in SUSPICIONS)
        ],
        "diagnoses": [_said(row) for row in rows if row.remark],
    }
    if all(len(values) > 1 for values in means.values()):
        real, made = means[REAL], means[SYNTHETIC]
        parts = [made.var(ddof=1) / len(made), real.var(ddof=1) / len(real)]
        variance = float(sum(parts))
        freedom = parts[0] ** 2 / (len(made) - 1) + parts[1] ** 2 / (len(real) - 1)
        df = variance**2 / freedom if freedom else float(len(made) + len(real) - 2)
        found["difference"] = student(float(made.mean() - real.mean()), variance, df).to_dict()
        found["mann_whitney_p"] = float(mannwhitneyu(made, real).pvalue)
    return found


def _mean(values: np.ndarray) -> dict[str, Any]:
    if len(values) < 2:
        return {"value": float(values.mean()) if len(values) else None, "low": None, "high": None}
    return student(
        float(values.mean()), float(values.var(ddof=1) / len(values)), len(values) - 1
    ).to_dict()


def _said(row: AnswerRow) -> dict[str, str]:
    return {"reader": row.reader, "item": row.item, "truth": row.truth, "remark": row.remark}
