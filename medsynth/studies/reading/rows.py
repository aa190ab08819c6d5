"""The raw rows of a study: one for each answer that counts, and the CSV that alone gives every figure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from medsynth.studies.reading.answers import SIGNED_IN, AnswerStore
from medsynth.studies.reading.design import NAIVE, StudyDesign
from medsynth.studies.reading.wording import is_right

CSV = "answers.csv"
REAL, SYNTHETIC = "real", "synthetic"
PLACE = ("lesion_x", "lesion_y", "lesion_radius")


@dataclass(frozen=True)
class AnswerRow:
    """One answer. `right` is None where it takes no side. `margin`: of equivalence, fixed before.

    `lesion_x`, `lesion_y`, `lesion_radius`: where a mark counts as a hit, in the mark's own shares of the
    side.
    """

    reader: str
    arm: str
    phase: str
    kind: str
    position: int
    item: str
    repeat: bool
    warmup: bool
    truth: str
    source: str
    window: str
    person: str
    lesion: bool | None
    answer: str
    right: bool | None
    sure: int | None
    seconds: float | None
    mark_x: float | None
    mark_y: float | None
    reasons: tuple[str, ...]
    remark: str
    at: str
    role: str
    experience_years: str
    ai_knowledge: str
    margin: float
    lesion_x: float | None = None
    lesion_y: float | None = None
    lesion_radius: float | None = None

    @property
    def found_at_place(self) -> bool | None:
        """Whether a lesion was seen and marked where it is; None where nobody says where that is."""
        if not self.lesion or self.lesion_x is None or self.lesion_y is None:
            return None
        if self.answer != "yes" or self.mark_x is None or self.mark_y is None:
            return False
        away = math.hypot(self.mark_x - self.lesion_x, self.mark_y - self.lesion_y)
        return away <= (self.lesion_radius or 0.0)

    @property
    def counts(self) -> bool:
        """Whether it is one of the answers that are counted: no practice, no second showing."""
        return not (self.warmup or self.repeat)


def rows_of(design: StudyDesign, store: AnswerStore) -> list[AnswerRow]:
    """Every answer that was not taken back, with its truth."""
    about: dict[str, dict[str, str]] = {}
    for event in store.events(SIGNED_IN):
        about.setdefault(str(event["reader"]), {}).update(event["data"])
    readers = {reader.name: reader for reader in design.readers}
    rows = []
    for found in store.all():
        reader = readers[found["reader"]]
        phase = design.phases[found["phase"]]
        showing = reader.orders[found["phase"]][found["position"]]
        item = design.index[found["item"]]
        truth = SYNTHETIC if item.synthetic else REAL
        if phase.kind == "pair":
            truth = "right" if showing.mirrored else "left"
        answers_about = about.get(reader.name, {})
        lesion_x, lesion_y, lesion_radius = item.lesion_at or (None, None, None)
        rows.append(
            AnswerRow(
                reader=reader.name,
                arm=reader.arm,
                phase=phase.name,
                kind=phase.kind,
                position=found["position"],
                item=item.id,
                repeat=showing.repeat,
                warmup=showing.warmup,
                truth=truth,
                source=item.source,
                window=design.windows[item.window].name,
                person=item.person,
                lesion=item.lesion,
                answer=found["answer"],
                right=_right(phase.kind, truth, item.lesion, found["answer"]),
                sure=found["sure"],
                seconds=found["seconds"],
                mark_x=found["mark_x"],
                mark_y=found["mark_y"],
                reasons=tuple(json.loads(found["reasons"])),
                remark=found["remark"],
                at=found["at"],
                role=answers_about.get("role", ""),
                experience_years=answers_about.get("experience_years", ""),
                ai_knowledge=answers_about.get("ai_knowledge", ""),
                margin=design.equivalence_margin,
                lesion_x=lesion_x,
                lesion_y=lesion_y,
                lesion_radius=lesion_radius,
            )
        )
    return rows


def _right(kind: str, truth: str, lesion: bool | None, answer: str) -> bool | None:
    if kind == "quality":
        return None
    if kind == "pair":
        return answer == truth
    if kind == "finding":
        return None if lesion is None else (answer == "yes") == lesion
    return is_right(kind, truth == SYNTHETIC, answer)


def write_csv(rows: Sequence[AnswerRow], path: Path) -> None:
    """All rows; lists joined by semicolons, empty: None."""
    names = [f.name for f in fields(AnswerRow)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows:
            record = asdict(row)
            record["reasons"] = ";".join(row.reasons)
            writer.writerow({k: _cell(v) for k, v in record.items()})


def _cell(value: object) -> object:
    if value is None:
        return ""
    return int(value) if isinstance(value, bool) else value


def read_csv(path: Path) -> list[AnswerRow]:
    """What `write_csv` wrote.

    Raises:
        ValueError: a column is missing, or a value is none; with the line.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        needed = [f.name for f in fields(AnswerRow) if f.name not in PLACE]
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} is no answers.csv of a report: it has no column {', '.join(missing)}"
            )
        rows = []
        for number, record in enumerate(reader, start=2):
            try:
                rows.append(_parsed(record))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}: line {number}: {error}") from error
    return rows


def _parsed(record: dict[str, str]) -> AnswerRow:
    def number(name: str) -> float | None:
        return float(record[name]) if record.get(name) else None

    def flag(name: str) -> bool | None:
        if record[name] not in ("", "0", "1"):
            raise ValueError(f"{name}: expected 0, 1 or nothing, got {record[name]!r}")
        return record[name] == "1" if record[name] else None

    texts = ("reader", "arm", "phase", "kind", "item", "truth", "source", "window", "person")
    more = ("answer", "remark", "at", "role", "experience_years", "ai_knowledge")
    truth = record["truth"]
    if truth not in (REAL, SYNTHETIC, "left", "right"):
        raise ValueError(f"truth: expected real, synthetic, left or right, got {truth!r}")
    lesion = flag("lesion")
    sure = number("sure")
    return AnswerRow(
        **{name: record[name] for name in (*texts, *more)},
        position=int(record["position"]),
        repeat=bool(flag("repeat")),
        warmup=bool(flag("warmup")),
        lesion=lesion,
        right=_right(record["kind"], truth, lesion, record["answer"]),
        sure=None if sure is None else int(sure),
        seconds=number("seconds"),
        mark_x=number("mark_x"),
        mark_y=number("mark_y"),
        reasons=tuple(r for r in record["reasons"].split(";") if r),
        margin=float(record["margin"]),
        lesion_x=number("lesion_x"),
        lesion_y=number("lesion_y"),
        lesion_radius=number("lesion_radius"),
    )


def is_naive(row: AnswerRow) -> bool:
    """Whether it belongs to the phase whose purpose readers did not know."""
    return row.phase == NAIVE
