"""The folder of a set: begun once for a plan, and what of it is there already."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from medsynth.datasets.splits import some
from medsynth.events import Listener, Stage
from medsynth.factory import catalog as catalogs
from medsynth.factory import plan_file
from medsynth.factory.catalog import Catalog
from medsynth.factory.draws import draw_rows
from medsynth.factory.item import ITEMS, is_complete
from medsynth.factory.plan import FORMAT, Plan
from medsynth.factory.rows import FILE, PlanRow, read_rows, write_rows
from medsynth.factory.splits import check_rows
from medsynth.request import read_mapping
from medsynth.storage import partial
from medsynth.storage.files import new_file
from medsynth.storage.folders import check_outside

PLAN, QUARANTINE, REFUSED = "plan.yaml", "quarantine", "refused"


def check_folder(plan: Plan, folder: Path) -> bool:
    """Whether `folder` holds this set already; False: it is to be begun.

    Raises:
        FileExistsError: it holds something else, or lies among the references.
        ValueError: it holds the set of another plan.
    """
    references = [plan.base / Path(p) for s in plan.anatomies for p in s.images]
    check_outside(folder, [path for path in references if path.is_dir()])
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder to make; choose another name")
    if not (folder / PLAN).is_file():
        names = [n for n in os.listdir(folder) if n != partial.LOCK] if folder.is_dir() else []
        begun = {catalogs.FILE, FILE, "plan.parquet", ITEMS}
        if set(names) - begun:
            raise FileExistsError(
                f"{folder} is not empty and holds no set (no {PLAN}); choose another folder"
            )
        return False
    there = read_mapping(folder / PLAN)
    if there.get("format") != FORMAT:
        raise FileExistsError(f"{folder / PLAN} is of no set ({FORMAT}); choose another folder")
    other = plan_file.difference(plan_file.to_dict(plan), there)
    if other is not None:
        raise ValueError(
            f"{folder} holds a set of another plan: `{other}` differs. Go on with {folder / PLAN}, or "
            f"choose another folder (only {', '.join(plan_file.MAY_CHANGE)} may change)"
        )
    return True


def begin(plan: Plan, folder: Path, *, listener: Listener) -> list[PlanRow]:
    """The rows of the set in `folder` as they are drawn; it is begun, or goes on.

    Raises:
        ValueError, OSError: the references cannot be used; the folder holds another set; one patient is
            in two splits.
    """
    goes_on = check_folder(plan, folder)
    if goes_on:
        catalog = Catalog.read(folder)
    else:
        catalog = catalogs.make(plan, listener=listener)
        catalog.write(folder)
    drawn = draw_rows(plan, catalog)
    rows = _joined(folder, drawn) if (folder / FILE).is_file() else drawn
    check_rows(rows)
    for name in (ITEMS, QUARANTINE, REFUSED):
        (folder / name).mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        partial.sweep(folder / ITEMS)
    write_rows(rows, folder)
    # Last: the folder is a set once this file is there.
    with new_file(folder / PLAN, overwrite=True) as file:
        file.write_text(plan_file.text_of(plan), encoding="utf-8")
    # Images are made from what was drawn, never from a row that was completed with a place.
    return drawn


def _joined(folder: Path, drawn: Sequence[PlanRow]) -> list[PlanRow]:
    """The rows that are there, and what is new behind them.

    Raises:
        ValueError: one that is there was drawn otherwise.
    """
    there = {row.id: row for row in read_rows(folder)}
    for row in drawn:
        old = there.get(row.id)
        if old is not None and _what(old) != _what(row):
            raise ValueError(
                f"{folder / FILE}: image {row.id} is of {old.anatomy['id']} in {old.split}, the plan "
                f"draws {row.anatomy['id']} in {row.split}; it was changed by hand or by another "
                "version. Remove plan.jsonl and give the command again, or begin the set anew"
            )
    return [there.get(row.id, row) for row in drawn]


def _what(row: PlanRow) -> tuple[Any, ...]:
    """What the plan alone decides of a row."""
    lesions = [(lesion["kind"], lesion["source"]) for lesion in row.lesions]
    return row.seed, row.split, row.anatomy["id"], row.anatomy["patient"], lesions


def missing(rows: Sequence[PlanRow], folder: Path, *, listener: Listener) -> list[PlanRow]:
    """The rows that have no image yet, found by what is there; what is damaged is removed.

    Refused images stay refused; quarantined ones are tried again.
    """
    left: list[PlanRow] = []
    with Stage("looking what is there", total=len(rows), listener=listener) as stage:
        for row in rows:
            item = folder / ITEMS / row.id
            if (folder / REFUSED / f"{row.id}.json").is_file():
                shutil.rmtree(
                    item, ignore_errors=True
                )  # killed between the verdict and the removal
            elif is_complete(item, row):
                (folder / QUARANTINE / f"{row.id}.json").unlink(missing_ok=True)
            else:
                shutil.rmtree(item, ignore_errors=True)
                left.append(row)
            stage.advance()
    return left


def quarantine(folder: Path, identifier: str, error: str, attempts: int) -> None:
    """quarantine/ID.json: why an image could not be made."""
    record = {"id": identifier, "error": error, "attempts": attempts}
    with new_file(folder / QUARANTINE / f"{identifier}.json", overwrite=True) as partial_file:
        partial_file.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def complete_rows(folder: Path) -> list[PlanRow]:
    """The rows with the slice, the centers and the request of every image that is there; written too."""
    rows = read_rows(folder)
    completed = [_completed(row, folder / ITEMS / row.id) for row in rows]
    if completed != rows:
        write_rows(completed, folder)
    return completed


def _completed(row: PlanRow, item: Path) -> PlanRow:
    if row.request is not None or not (item / "request.yaml").is_file():
        return row
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    asked = yaml.load((item / "request.yaml").read_text(encoding="utf-8"), Loader=loader)
    placed = asked.get("pathologies", ())
    lesions = tuple(
        {**lesion, "center_mm": there["center_mm"], "diameter_mm": there["diameter_mm"]}
        for lesion, there in zip(row.lesions, placed, strict=True)
    )
    number = asked["anatomy"].get("slice")
    anatomy = {**row.anatomy, "slice": None if number is None else number - 1}
    if row.anatomy["phantom"] is not None:
        anatomy["phantom"] = asked["anatomy"]["phantom"]
    return replace(row, anatomy=anatomy, lesions=lesions, request=asked)


def ids_in(folder: Path, name: str) -> list[str]:
    """The ids of quarantine/ or refused/."""
    return sorted(path.stem for path in (folder / name).glob("*.json"))


def named(ids: Sequence[str]) -> str:
    """Some ids, for a message."""
    return some(ids)
