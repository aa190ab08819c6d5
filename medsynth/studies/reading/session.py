"""Where a reader stands, what they may see, and what is accepted as their answer."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from medsynth.studies.reading import wording
from medsynth.studies.reading.answers import SIGNED_IN, AnswerStore
from medsynth.studies.reading.design import (
    CLUES,
    DATABASE,
    ITEMS,
    ReadingPhase,
    Showing,
    StudyReader,
    load_design,
)

LONGEST_TEXT = 2000
LONGEST_SECONDS = 24 * 3600.0


class ClosedStudy(ValueError):
    """The study takes no more answers."""


class OutOfTurn(ValueError):
    """An answer for a place at which the reader does not stand."""


class StudySession:
    """One study while it is served."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.design, hashed = load_design(folder)
        self.store = AnswerStore(folder / DATABASE)
        if self.store.design_sha256() != hashed:
            raise ValueError(
                f"{folder}: the answers belong to another design (SHA-256 "
                f"{self.store.design_sha256()[:12]}, the design file has {hashed[:12]}); restore it"
            )
        self.readers = {r.token_sha256: r for r in self.design.readers}
        self.shown_at: dict[tuple[str, int, int], float] = {}
        self.lock = threading.Lock()

    def reader(self, token: str) -> StudyReader | None:
        """Whose link this is."""
        return self.readers.get(hashlib.sha256(token.encode()).hexdigest())

    def is_closed(self) -> bool:
        """Whether the study takes no more answers."""
        return self.store.closed_at() is not None

    def place(self, reader: StudyReader) -> tuple[int, int, datetime | None]:
        """Phase, position in it, and until when the reader has to wait; phase is past the last: done."""
        counts = self.store.counts(reader.name)
        last: str | None = None
        for number, (phase, order) in enumerate(
            zip(self.design.phases, reader.orders, strict=True)
        ):
            answered, at = counts.get(number, (0, ""))
            if answered < len(order):
                return number, answered, _wait_until(phase, last)
            last = at or last
        return len(self.design.phases), 0, None

    def state(self, reader: StudyReader) -> dict[str, Any]:
        """What the page shows now. Nothing here tells what the present item is."""
        if self.is_closed():
            return {"status": "closed"}
        number, position, wait = self.place(reader)
        base: dict[str, Any] = {"title": self.design.title, "reader": reader.name}
        if number == len(self.design.phases):
            return base | {"status": "done", "notice": wording.notice(self.design.phases[-1])}
        phase, order = self.design.phases[number], reader.orders[number]
        base |= {"notice": wording.notice(phase), "phase": number}
        base |= {"phases": len(self.design.phases)}
        if wait is not None:
            return base | {"status": "wait", "until": wait.isoformat(timespec="minutes")}
        missing = self._missing_fields(reader, phase)
        if missing:
            fields = {name: wording.FIELDS[name] for name in missing}
            return base | {"status": "sign in", "fields": fields}
        showing = order[position]
        self.shown_at.setdefault((reader.name, number, position), time.monotonic())
        return base | {
            "status": "reading",
            "position": position,
            "total": len(order),
            "warmup": showing.warmup,
            "can_undo": position > 0 and not self._told(reader, order[position - 1]),
            "question": wording.page_question(
                self.design, phase, self.design.index[showing.item], arm=reader.arm
            ),
        }

    def _missing_fields(self, reader: StudyReader, phase: ReadingPhase) -> list[str]:
        known = {k for e in self.store.events(SIGNED_IN, reader.name) for k in e["data"]}
        return [name for name in wording.fields_asked(phase) if name not in known]

    def sign_in(self, reader: StudyReader, about: dict[str, Any]) -> None:
        """Keep what a reader says of themselves, once.

        Raises:
            ValueError: an unknown field, or a value that the field does not offer.
        """
        number, _, _ = self.place(reader)
        if number == len(self.design.phases):
            return
        missing = self._missing_fields(reader, self.design.phases[number])
        kept: dict[str, str] = {}
        for name in missing:
            options = wording.FIELDS[name]["options"]
            value = str(about.get(name, "")).strip()[:100]
            if isinstance(options, list):
                if value not in options:
                    raise ValueError(f"{name}: expected one of {', '.join(options)}")
            elif not (value.isdigit() and int(value) <= 80):
                raise ValueError(f"{name}: expected whole years from 0 to 80, got {value!r}")
            kept[name] = value
        self.store.note(SIGNED_IN, reader=reader.name, data=kept)

    def _told(self, reader: StudyReader, showing: Showing) -> bool:
        """Whether the truth of this item is shown after the answer."""
        return showing.warmup or reader.arm == CLUES

    def image(self, reader: StudyReader, phase: int, position: int, which: int) -> bytes | None:
        """The pixels of the present item or the next one; None of any other."""
        now_phase, now, wait = self.place(reader)
        if self.is_closed() or wait is not None or phase != now_phase:
            return None
        order = reader.orders[phase] if phase < len(reader.orders) else ()
        if position not in (now, now + 1) or position >= len(order):
            return None
        showing = order[position]
        files = self.design.index[showing.item].files
        if not 0 <= which < len(files):
            return None
        if showing.mirrored and len(files) > 1:
            which = 1 - which
        return (self.folder / ITEMS / files[which]).read_bytes()

    def answer(self, reader: StudyReader, given: dict[str, Any]) -> dict[str, Any] | None:
        """Keep an answer; returns the feedback, where the design gives any.

        Raises:
            ClosedStudy, OutOfTurn: it is not kept.
            ValueError: it is none of the answers to the question.
        """
        with self.lock:
            if self.is_closed():
                raise ClosedStudy("the study is closed")
            nonce = str(given.get("nonce", ""))
            if not 8 <= len(nonce) <= 64:
                raise ValueError("nonce: expected 8 to 64 characters")
            number, position, wait = self.place(reader)
            if self.store.has(nonce):
                return None
            if wait is not None or (given.get("phase"), given.get("position")) != (
                number,
                position,
            ):
                raise OutOfTurn("another answer is due")
            phase, showing = self.design.phases[number], reader.orders[number][position]
            values = _checked(phase, given, self.design.reasons)
            shown = self.shown_at.pop((reader.name, number, position), None)
            values |= {
                "reader": reader.name,
                "phase": number,
                "position": position,
                "item": showing.item,
                "nonce": nonce,
                "seconds_server": None if shown is None else round(time.monotonic() - shown, 3),
            }
            if not self.store.add(values):
                raise OutOfTurn("this place has an answer")
        truth_is_asked = phase.kind not in ("quality", "finding")
        if not (truth_is_asked and self._told(reader, showing)):
            return None
        item = self.design.index[showing.item]
        return wording.feedback(phase, item, values["answer"], mirrored=showing.mirrored)

    def undo(self, reader: StudyReader) -> bool:
        """Take the last answer of this phase back, unless its truth was shown."""
        with self.lock:
            number, position, _ = self.place(reader)
            if self.is_closed() or number == len(self.design.phases) or position == 0:
                return False
            if self._told(reader, reader.orders[number][position - 1]):
                return False
            return self.store.withdraw(reader.name, number, position - 1)


def _wait_until(phase: ReadingPhase, last: str | None) -> datetime | None:
    """The washout: whole days after the last answer of the phase before."""
    if last is None or phase.washout_days <= 0:
        return None
    until = datetime.fromisoformat(last) + timedelta(days=phase.washout_days)
    return until if until > datetime.now(timezone.utc) else None


def _checked(
    phase: ReadingPhase, given: dict[str, Any], reasons: tuple[str, ...]
) -> dict[str, Any]:
    """The answer's columns, every one checked."""
    question = wording.QUESTIONS[phase.kind]
    answer = str(given.get("answer", ""))
    if question.slider is not None:
        value = _number(given.get("answer"), "answer", 0, 100)
        if value is None:
            raise ValueError("answer: expected a number from 0 to 100")
        answer = f"{value:g}"
    elif answer not in [choice.value for choice in question.choices]:
        expected = ", ".join(choice.value for choice in question.choices)
        raise ValueError(f"answer: expected one of {expected}, got {answer[:40]!r}")
    sure = _number(given.get("sure"), "sure", 1, wording.SUREST) if question.sure else None
    chosen = given.get("reasons") or []
    if not isinstance(chosen, list) or any(r not in reasons for r in chosen):
        raise ValueError("reasons: expected some of the study's list")
    marked = question.mark and answer == "yes"
    return {
        "answer": answer,
        "sure": None if sure is None else round(sure),
        "mark_x": _number(given.get("mark_x"), "mark_x", 0, 1) if marked else None,
        "mark_y": _number(given.get("mark_y"), "mark_y", 0, 1) if marked else None,
        "reasons": json.dumps(chosen if answer == question.reasons_for else []),
        "remark": str(given.get("remark") or "").strip()[:LONGEST_TEXT],
        "seconds": _number(given.get("seconds"), "seconds", 0, LONGEST_SECONDS),
        "window": str(given.get("window") or "")[:80],
    }


def _number(value: Any, name: str, low: float, high: float) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r:.40}")
    return number
