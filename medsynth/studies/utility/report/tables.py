"""The table in the papers' layout: a row for each training set, a column for each figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medsynth.studies.utility.figures import FIGURES
from medsynth.studies.utility.report.words import plain_figure

HEADS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
MODE_TITLES = {
    "add": "Synthetic images added to the real ones",
    "replace": "Synthetic images in place of real ones, at equal size",
    "only": "Synthetic images alone, tested on real ones",
}


def csv_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every figure with its bounds, and the difference in AUC to real only."""
    for row in record["rows"]:
        found = {
            key: row[key]
            for key in ("name", "mode", "kind", "size", "real_images", "other_images", "steps")
        }
        for name in FIGURES:
            for part in ("value", "low", "high"):
                found[name if part == "value" else f"{name}_{part}"] = row[name][part]
        difference = (row["difference_to_real_only"] or {}).get("auc", {})
        for part in ("value", "low", "high"):
            found[f"auc_difference_{part}"] = difference.get(part, "")
        yield found


def page_head() -> tuple[str, ...]:
    """Of the page's table."""
    first, *others = HEADS.values()
    return ("training set", "real", "other", "steps", first, f"{first} against real only", *others)


def page_rows(record: Mapping[str, Any], mode: str) -> list[tuple[Any, ...]]:
    """Real images only, then the rows of a mode by size; synthetic ones before their controls."""
    rows = [row for row in record["rows"] if row["mode"] == mode and row["size"]]
    rows.sort(key=lambda row: (row["size"], row["kind"] != "synthetic"))
    return [_cells(row) for row in (record["rows"][0], *rows)]


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    differences = row["difference_to_real_only"]
    first, *others = (plain_figure(row[name]) for name in HEADS)
    against = plain_figure(differences["auc"], sign=True) if differences else "–"
    sizes = (row["real_images"], row["other_images"], row["steps"])
    return (row["name"], *sizes, first, against, *others)
