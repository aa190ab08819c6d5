"""The report of a reading study: `report.html` to look at, `report.json`, and `answers.csv`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth.events import Event, Listener, ignore
from medsynth.storage.files import check_new_file, new_file
from medsynth.studies.reading.analysis import analyze
from medsynth.studies.reading.answers import CLOSED, INTERIM, AnswerStore
from medsynth.studies.reading.closing import hash_answers
from medsynth.studies.reading.design import DATABASE, StudyDesign, load_design
from medsynth.studies.reading.machine import machine_rows
from medsynth.studies.reading.report.page import write_page
from medsynth.studies.reading.rows import CSV, AnswerRow, read_csv, rows_of, write_csv

FILES = ("report.html", "report.json", CSV)


def write_report(
    study: Path,
    out: Path,
    *,
    interim: bool = False,
    machines: Mapping[str, Path] | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Report on a closed study folder, or on an `answers.csv` alone; returns what report.json holds.

    `machines`: scores by name, see `medsynth.studies.reading.machine`.

    Raises:
        FileExistsError: OUT holds a report, and `overwrite` is false.
        ValueError: the study is open and `interim` is false, or has no answer.
    """
    design: StudyDesign | None = None
    about: dict[str, Any] = {"study": study.name}
    if study.is_file():
        rows = read_csv(study)
        if machines:
            raise ValueError("--machine needs the study folder, not an answers.csv")
    else:
        design, hashed = load_design(study)
        store = AnswerStore(study / DATABASE)
        about |= _about(study, design, store, hashed, interim=interim)
        rows = rows_of(design, store)
        for name, path in (machines or {}).items():
            rows += machine_rows(design, name, path)
    record = {"about": about, **analyze(rows)}
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        check_new_file(out / name, overwrite=overwrite)
    _write(out, record, rows, study if design else None, design, overwrite=overwrite)
    for phase in record["phases"].values():
        for warning in phase.get("warnings", ()):
            listener(Event("warning", message=warning))
    return record


def _write(
    out: Path,
    record: dict[str, Any],
    rows: list[AnswerRow],
    study: Path | None,
    design: StudyDesign | None,
    *,
    overwrite: bool,
) -> None:
    with new_file(out / CSV, overwrite=overwrite) as file:
        write_csv(rows, file)
    with new_file(out / "report.html", overwrite=overwrite) as file:
        write_page(file, record, study=study, design=design)
    with new_file(out / "report.json", overwrite=overwrite) as file:
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _about(
    study: Path, design: StudyDesign, store: AnswerStore, hashed: str, *, interim: bool
) -> dict[str, Any]:
    """What the study says of itself: design, draw, when it was closed, who looked before."""
    if store.design_sha256() != hashed:
        raise ValueError(f"{study}: the answers belong to another design; restore design.json")
    if store.closed_at() is None:
        if not interim:
            raise ValueError(
                f"{study} is still open: the truth is opened after the last answer; close it with "
                f"medsynth study close {study}, or look now with --interim, which the study notes"
            )
        store.note(INTERIM, data={"answers": len(store.all())})
    closed = store.events(CLOSED)
    changed = bool(closed) and closed[0]["data"]["answers_sha256"] != hash_answers(store)
    return {
        "study": study.name,
        "title": design.title,
        "created": design.created,
        "seed": design.seed,
        "design_sha256": hashed,
        "closed": store.closed_at(),
        "left_when_closed": closed[0]["data"]["left"] if closed else None,
        "answers_changed_after_closing": changed,
        "interim_looks": [{"at": e["at"], **e["data"]} for e in store.events(INTERIM)],
        "units": design.units,
        "draw": design.draw,
        "giveaways": list(design.giveaways),
    }
