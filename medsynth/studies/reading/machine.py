"""A machine reader: scores of the study's own files, a line of comparison and never in the pool."""

from __future__ import annotations

import csv
from pathlib import Path

from medsynth.studies.reading.create import COUNTED
from medsynth.studies.reading.design import MACHINE, NAIVE, StudyDesign
from medsynth.studies.reading.rows import REAL, SYNTHETIC, AnswerRow
from medsynth.studies.reading.wording import is_right

KINDS = ("real_fake_unsure", "real_fake", "confidence")


def machine_rows(design: StudyDesign, name: str, path: Path) -> list[AnswerRow]:
    """Rows of a CSV with the columns `file` (a name in the study's `items/`) and `score`.

    The score is how surely synthetic, 0 to 1; 0.5 takes no side.

    Raises:
        ValueError: the study asks something else, or a counted image has no score.
    """
    phase = next(p for p in design.phases if p.name != NAIVE)
    if phase.kind not in KINDS:
        raise ValueError(f"--machine: this study asks {phase.kind!r}, expected {', '.join(KINDS)}")
    if name in {reader.name for reader in design.readers}:
        raise ValueError(f"--machine: a reader is called {name} already; choose another name")
    scores = _scores(path)
    rows = []
    for position, item in enumerate(i for i in design.items if i.role == COUNTED):
        if item.files[0] not in scores:
            raise ValueError(f"{path}: no score of items/{item.files[0]}; every image needs one")
        answer = f"{100 * scores[item.files[0]]:.6g}"
        rows.append(
            AnswerRow(
                reader=name,
                arm=MACHINE,
                phase=phase.name,
                kind="confidence",
                position=position,
                item=item.id,
                repeat=False,
                warmup=False,
                truth=SYNTHETIC if item.synthetic else REAL,
                source=item.source,
                window=design.windows[item.window].name,
                person=item.person,
                lesion=item.lesion,
                answer=answer,
                right=is_right("confidence", item.synthetic, answer),
                sure=None,
                seconds=None,
                mark_x=None,
                mark_y=None,
                reasons=(),
                remark="",
                at="",
                role=MACHINE,
                experience_years="",
                ai_knowledge="",
                margin=design.equivalence_margin,
            )
        )
    return rows


def _scores(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"file", "score"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path}: expected the columns file and score")
        found = {}
        for number, row in enumerate(reader, start=2):
            try:
                score = float(row["score"])
            except (TypeError, ValueError):
                score = -1.0
            if not 0 <= score <= 1:
                raise ValueError(
                    f"{path}: line {number}: score: expected 0 to 1, got {row['score']!r}"
                )
            found[Path(row["file"]).name] = score
    return found
