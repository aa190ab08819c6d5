"""Two sets as one: images numbered anew, nothing drawn again, no patient in two splits."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from medsynth.events import Listener, Stage, ignore
from medsynth.factory.store import FORMAT, ITEMS, PLAN, QUARANTINE, REFUSED, ROWS, DataSet, open_set
from medsynth.storage.folders import OutputFolder, check_outside

LARGEST_COUNT = 999_999


def merge(
    sources: Sequence[Path | str], out: Path | str, *, listener: Listener = ignore
) -> DataSet:
    """One set in `out` of the images of all `sources`, in their order; it appears complete.

    Files are shared with the sources where the disk can (hard links), else copied.

    Raises:
        ValueError: of two domains; a patient would be in two splits; an image is in two of them.
        FileExistsError: `out` is not empty, or lies in a source.
        OSError: the disk is full.
    """
    sets = [open_set(source) for source in sources]
    check_outside(out, [dataset.folder for dataset in sets])
    total = _check(sets)
    with (
        OutputFolder(out) as folder,
        Stage("merging", total=total, listener=listener) as stage,
    ):
        for name in (ITEMS, QUARANTINE, REFUSED):
            (folder / name).mkdir()
        origins, number = [], 0
        with open(folder / ROWS, "w", encoding="utf-8") as rows:
            for dataset in sets:
                origins.append({"set": dataset.name, "first": number, "plan": dict(dataset.plan)})
                for raw in _raw_rows(dataset):
                    name = f"{number:06d}"
                    _take(dataset.folder, raw["id"], folder, name)
                    rows.write(json.dumps({**raw, "id": name}, ensure_ascii=False) + "\n")
                    number += 1
                    stage.advance(message=name)
        plan = {"format": FORMAT, "preset": sets[0].preset.name, "count": total, "merged": origins}
        text = yaml.safe_dump(plan, sort_keys=False, allow_unicode=True)
        (folder / PLAN).write_text(text, encoding="utf-8")
    return open_set(out)


def _check(sets: Sequence[DataSet]) -> int:
    """How many rows there will be; refuses what cannot be one set."""
    if len(sets) < 2:
        raise ValueError("merge needs at least two sets")
    presets = {dataset.preset.name for dataset in sets}
    if len(presets) > 1:
        raise ValueError(f"the sets are of several domains ({', '.join(sorted(presets))})")
    splits: dict[str, tuple[str, str]] = {}
    images: dict[str, str] = {}
    total = 0
    for dataset in sets:
        for row in dataset.rows():
            where = f"{dataset.folder}, image {row.id}"
            total += 1
            for patient in row.patients:
                split, first = splits.setdefault(patient, (row.split, where))
                if split != row.split:
                    raise ValueError(
                        f"patient {patient} would be in two splits: {split} ({first}) and "
                        f"{row.split} ({where}); make one of the sets again with the other split"
                    )
            if row.request is not None:
                text = json.dumps(row.request, sort_keys=True)
                what = hashlib.sha256(text.encode()).hexdigest()
                if what in images:
                    raise ValueError(f"the same image is there twice: {images[what]} and {where}")
                images[what] = where
    if total > LARGEST_COUNT:
        raise ValueError(f"{total:,} images are too many for one set, at most {LARGEST_COUNT:,}")
    return total


def _raw_rows(dataset: DataSet) -> Iterator[dict[str, Any]]:
    with open(dataset.folder / ROWS, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _take(source: Path, name: str, into: Path, new: str) -> None:
    """The finished image, or the note why there is none, under its new number."""
    if (source / ITEMS / name).is_dir():
        shutil.copytree(source / ITEMS / name, into / ITEMS / new, copy_function=_link_or_copy)
    for folder in (QUARANTINE, REFUSED):
        note = source / folder / f"{name}.json"
        if note.is_file():
            record = json.loads(note.read_text(encoding="utf-8")) | {"id": new}
            text = json.dumps(record, indent=1, ensure_ascii=False)
            (into / folder / f"{new}.json").write_text(text, encoding="utf-8")


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)
