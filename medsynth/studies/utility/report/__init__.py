"""The report of a utility study: `report.html`, `report.json`, `table.csv`, `scores.csv`, `curve.svg`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medsynth.storage.files import new_file, replace_text
from medsynth.studies.utility.arms import REAL
from medsynth.studies.utility.cells import SweepCell
from medsynth.studies.utility.prepared import PreparedStudy
from medsynth.studies.utility.report.analysis import analyze_study
from medsynth.studies.utility.report.curve import draw_curve
from medsynth.studies.utility.report.page import page_of
from medsynth.studies.utility.report.tables import csv_rows
from medsynth.studies.utility.training import TEST, VALIDATION

Outcomes = Mapping[SweepCell, Mapping[str, Any] | None]


def write_report(prepared: PreparedStudy, outcomes: Outcomes, out: Path) -> dict[str, Any]:
    """Every figure of a finished sweep; an earlier report is replaced.

    Returns what report.json holds.
    """
    done = {cell: record for cell, record in outcomes.items() if record is not None}
    record = {"about": _about(prepared, done), **analyze_study(prepared, done)}
    replace_text(
        out / "report.json",
        json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    )
    _write_csv(out / "table.csv", csv_rows(record))
    _write_csv(out / "scores.csv", _score_rows(prepared, done))
    with new_file(out / "curve.svg", overwrite=True) as partial:
        draw_curve(record, partial)
    picture = (out / "curve.svg").read_text(encoding="utf-8")
    replace_text(out / "report.html", page_of(record, picture))
    return record


def _about(prepared: PreparedStudy, done: Mapping[SweepCell, Mapping[str, Any]]) -> dict[str, Any]:
    study = prepared.study
    settings = {
        "network": study.network,
        "network_weights": prepared.network_weights,
        "starts_from": study.weights.name if study.weights else "random weights",
        "side": study.side,
        "window": study.window,
        "scale": "each image" if study.each else "all images",
        **{"epochs": study.epochs, "steps": study.steps, "batch": study.batch},
        "learning_rate": study.learning_rate,
        "optimizer": "AdamW, a short rise and a cosine fall of the learning rate; the last weights are tested",
        "augmentation_of_every_arm": study.augmentation,
        **{"seeds": study.seeds, "seed": study.seed},
    }
    return {
        "title": study.title,
        "positive": list(study.positive),
        "negative": list(study.negative) or ["everything else"],
        "modes": list(study.modes),
        "sizes": list(study.sizes),
        "settings": settings,
        "images": {name: _counts(prepared, name) for name in prepared.pools},
        "threshold": "that with the largest F1 on the validation patients, for each training",
        "training_seconds": round(sum(record["seconds"] for record in done.values()), 1),
        "overuse": prepared.overuse,
        "warnings": prepared.warnings,
    }


def _counts(prepared: PreparedStudy, name: str) -> dict[str, int]:
    pool = prepared.pools[name]
    counts = {"images": len(pool.facts), "positive": int(pool.positive.sum())}
    # The images of a synthetic source are of nobody.
    return counts | (
        {"patients": len(set(pool.patients))} if name in (REAL, VALIDATION, TEST) else {}
    )


def _score_rows(
    prepared: PreparedStudy, done: Mapping[SweepCell, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The raw logits, from which every figure can be computed again."""
    for cell, record in done.items():
        for part in (VALIDATION, TEST):
            for fact, score in zip(prepared.pools[part].facts, record[part], strict=True):
                yield {
                    "arm": cell.arm.name,
                    "seed": cell.seed,
                    "part": part,
                    "image": fact.file,
                    "patient": fact.patient,
                    "positive": int(fact.positive),
                    "score": score,
                }


def _write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with new_file(path, overwrite=True) as partial, partial.open("w", newline="") as file:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, fieldnames=list(row))
                writer.writeheader()
            writer.writerow(row)
