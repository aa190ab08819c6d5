"""Rows as matrices of readers by images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medsynth.studies.reading.rows import SYNTHETIC, AnswerRow

CODES = {
    "real_fake_unsure": ("real", "fake", "unsure"),
    "real_fake": ("real", "fake"),
    "confidence": ("real", "fake", "unsure"),
    "pair": ("real image", "synthetic image"),
    "finding": ("yes", "no"),
}
# How far from the middle an answer lies whose reader did not say how sure they were.
USUAL_SURE = 3


@dataclass(frozen=True, eq=False)
class AnswerMatrix:
    """The counted answers of one phase: `of(f)` is f of every row, (R, I), NaN where there is none."""

    rows: tuple[AnswerRow, ...]
    readers: tuple[str, ...]
    items: tuple[str, ...]
    synthetic: np.ndarray
    strata: np.ndarray

    def of(self, value: Callable[[AnswerRow], float | None]) -> np.ndarray:
        """A figure of each answer."""
        at_reader = {name: k for k, name in enumerate(self.readers)}
        at_item = {name: k for k, name in enumerate(self.items)}
        found = np.full((len(self.readers), len(self.items)), np.nan)
        for row in self.rows:
            number = value(row)
            found[at_reader[row.reader], at_item[row.item]] = np.nan if number is None else number
        return found


def matrix(rows: Sequence[AnswerRow]) -> AnswerMatrix:
    """Of rows that count; the strata are the sources, which were drawn one by one."""
    readers = tuple(dict.fromkeys(row.reader for row in rows))
    first = {row.item: row for row in reversed(rows)}
    items = tuple(sorted(first))
    sources = sorted({row.source for row in rows})
    return AnswerMatrix(
        tuple(rows),
        readers,
        items,
        np.array([first[i].truth == SYNTHETIC for i in items], bool),
        np.array([sources.index(first[i].source) for i in items], int),
    )


def category(row: AnswerRow) -> str:
    """What the answer says, in the words of `CODES`."""
    if row.kind == "confidence":
        value = float(row.answer)
        return "unsure" if value == 50 else "fake" if value > 50 else "real"
    if row.kind == "pair":
        return "real image" if row.right else "synthetic image"
    return row.answer


def code(row: AnswerRow) -> float:
    """The number of the answer's category."""
    return float(CODES[row.kind].index(category(row)))


def called_synthetic(row: AnswerRow) -> float | None:
    """1 called synthetic, 0 called real, None of neither."""
    return {"fake": 1.0, "real": 0.0}.get(category(row))


def right_left_out(row: AnswerRow) -> float | None:
    """1 right, 0 wrong; an unsure answer is left out."""
    return None if row.right is None else float(row.right)


def right_half(row: AnswerRow) -> float:
    """1 right, 0 wrong, and an unsure answer is half right, as a guess would be."""
    return 0.5 if row.right is None else float(row.right)


def score(row: AnswerRow) -> float:
    """How surely synthetic: the slider, or the side taken times how sure."""
    if row.kind == "confidence":
        return float(row.answer)
    side = called_synthetic(row)
    if side is None:
        return 0.0
    return (1.0 if side else -1.0) * (row.sure or USUAL_SURE)
