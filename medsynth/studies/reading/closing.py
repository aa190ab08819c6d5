"""Ends a study: no more answers, and from now on the truth may be opened."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from medsynth.studies.reading.answers import CLOSED, AnswerStore
from medsynth.studies.reading.design import DATABASE, StudyDesign, load_design


def close_study(folder: Path, *, unfinished: bool = False) -> dict[str, Any]:
    """Close the study; returns the number of answers and their SHA-256, which the study keeps.

    Raises:
        ValueError: it is closed already, or readers have images left and `unfinished` is false.
    """
    design, _ = load_design(folder)
    store = AnswerStore(folder / DATABASE)
    if store.closed_at():
        raise ValueError(
            f"{folder} was closed at {store.closed_at()}; medsynth study report shows it"
        )
    left = answers_left(design, store)
    if left and not unfinished:
        who = ", ".join(f"{name} {count}" for name, count in left.items())
        raise ValueError(
            f"readers have images left ({who}); wait for them, or close it --even-if-unfinished, "
            "which the report will say"
        )
    record = {"answers": len(store.all()), "answers_sha256": hash_answers(store), "left": left}
    store.note(CLOSED, data=record)
    return record


def answers_left(design: StudyDesign, store: AnswerStore) -> dict[str, int]:
    """By reader, how many images are still to be answered; those who have finished are left out."""
    left = {}
    for reader in design.readers:
        given = sum(count for count, _ in store.counts(reader.name).values())
        if rest := sum(len(order) for order in reader.orders) - given:
            left[reader.name] = rest
    return left


def hash_answers(store: AnswerStore) -> str:
    """The SHA-256 of all answers, the withdrawn ones included."""
    text = json.dumps(store.all(withdrawn=True), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
