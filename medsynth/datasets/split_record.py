"""The split on paper: split.csv in the run's folder, and what later commands check against it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from medsynth.datasets.entries import HELD_OUT, TRAINING
from medsynth.datasets.splits import Split, digest_of, key, matches, some
from medsynth.errors import CheckpointError
from medsynth.storage.files import new_file

SPLIT_FILE = "split.csv"
COLUMNS = ("series", "patient", "part")
Row = tuple[str, str, str]


def record_split(split: Split, run: Path) -> Path:
    """Write run/split.csv, or, where the run has gone on with one, check that it is this split.

    Raises:
        CheckpointError: the run was split otherwise; the first differences are named.
    """
    path = run / SPLIT_FILE
    if path.exists() and (run / "checkpoint.json").exists():
        changes = differences(read_split_file(path), split.rows())
        if changes:
            raise CheckpointError(
                f"{run} was trained with another split: {some(changes, shown=3)}; give the same "
                "recipe and --data, or another folder"
            )
        return path
    run.mkdir(parents=True, exist_ok=True)
    with (
        new_file(path, overwrite=True) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([COLUMNS, *split.rows()])
    return path


def read_split_file(path: Path) -> list[Row]:
    """The (series, patient, part) rows of a split.csv.

    Raises:
        CheckpointError: not such a file, or a patient is in both parts.
    """
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != COLUMNS or any(len(line) != 3 for line in lines):
        raise CheckpointError(f"{path} is not a split: expected the columns {', '.join(COLUMNS)}")
    rows = [(series, patient, part) for series, patient, part in lines[1:]]
    check_apart(rows, where=str(path))
    return rows


def check_apart(rows: Iterable[Row], *, where: str) -> None:
    """Raises CheckpointError if a patient, however spelled, is in both parts, or a part is unknown."""
    parts: dict[str, str] = {}
    for series, patient, part in rows:
        if part not in (TRAINING, HELD_OUT):
            raise CheckpointError(
                f"{where}: {series} is in the part {part!r}, expected {TRAINING} or {HELD_OUT}"
            )
        if parts.setdefault(key(patient), part) != part:
            raise CheckpointError(f"{where}: patient {patient} is in both parts ({series})")


def check_evaluated(split: Split, metadata: Mapping[str, Any], *, weights: Path) -> None:
    """The held-out patients of `split` were held out when `weights` were trained, as its card says.

    A split.csv beside the weights serves to name who is on the other side.

    Raises:
        CheckpointError: the card names another split, or other held-out patients.
    """
    check_apart(split.rows(), where="the data")
    beside = weights.parent / SPLIT_FILE
    if "split" in metadata:
        if metadata["split"] == split.digest:
            return
        changes: list[str] = []
        if beside.is_file() and digest_of(read_split_file(beside)) == metadata["split"]:
            changes = differences(read_split_file(beside), split.rows())
        named = f": {some(changes, shown=3)}" if changes else ""
        raise CheckpointError(
            f"{weights} was trained with the split {metadata['split']}, recipe and data give "
            f"{split.digest}{named}; evaluate with the recipe and the data of the training"
        )
    listed = metadata.get("held_out")
    if listed is not None:
        strangers = sorted({e.patient for e in split.held_out if not _listed(e.patient, listed)})
        if strangers:
            raise CheckpointError(
                f"{weights} may have been trained on {some(strangers)}: its card holds out "
                f"{some(listed) or 'nobody'}; evaluate on those"
            )


def _listed(patient: str, patterns: Iterable[str]) -> bool:
    return any(matches(pattern, patient) for pattern in patterns)


def differences(before: Iterable[Row], after: Iterable[Row]) -> list[str]:
    """In words, what has changed from one split to another; moved patients first."""
    old, new = ({row[0]: row for row in rows} for rows in (before, after))
    moved = {
        f"{new[name][1]} was {old[name][2]}, is {new[name][2]}": None
        for name in old
        if name in new and old[name][2] != new[name][2]
    }
    renamed = [
        f"{name} was of {old[name][1]}, is of {new[name][1]}"
        for name in old
        if name in new and key(old[name][1]) != key(new[name][1])
    ]
    gone = [f"{name} is gone" for name in old if name not in new]
    come = [f"{name} is new" for name in new if name not in old]
    return list(islice((*moved, *renamed, *gone, *come), 100))
