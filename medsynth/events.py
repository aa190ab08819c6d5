"""What a long job says while it runs: one small record per step, for people and for programs.

A listener is any callable that takes an `Event`. The command line draws a progress bar from them or
writes each as one JSON line (`--progress json`), which is what the Slicer module reads.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

# How many units of a stage the time that was expected counts for, and how many are remembered.
EXPECTED_UNITS, REMEMBERED_UNITS = 4.0, 40.0

KINDS = ("stage", "progress", "warning", "estimate", "result", "error")


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    `kind` is one of `KINDS`. `done` of `total` units of `stage` are finished; `seconds_left` is the
    estimate for this stage (None while unknown). `data` must be JSON-serializable.
    """

    kind: str
    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line without line breaks; empty fields are left out."""
        record = {k: v for k, v in asdict(self).items() if v not in ("", None, {}) or k == "kind"}
        if self.kind != "progress":
            record = {k: v for k, v in record.items() if k not in ("done", "total")}
        return json.dumps(record)


Listener = Callable[[Event], None]
# Characters that turn the direction of the text around them.
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def printable(text: str, *, keep: str = "\n\t") -> str:
    """`text` with what a terminal would obey instead of show spelled out: ESC becomes `\\x1b`.

    Servers and file names may hold anything. `keep` are the control characters that stay.
    """
    return "".join(c if c in keep or not _is_obeyed(c) else ascii(c)[1:-1] for c in text)


def _is_obeyed(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in DIRECTIONS


def ignore(event: Event) -> None:
    """The listener of those who do not want to hear."""


class Stage:
    """Counts one stage of a job and tells the listener, with the time left.

    Use as `with Stage("sampling", total=20, listener=listener) as stage: ... stage.advance()`.
    `expected` seconds for all of it, where they were measured before, count as `EXPECTED_UNITS` of
    experience. Without them the first unit says nothing of the others, since it also warms up.
    """

    def __init__(
        self,
        name: str,
        *,
        total: int,
        expected: float | None = None,
        listener: Listener = ignore,
    ):
        self.name, self.total, self.listener = name, total, listener
        self.done, self.expected = 0, expected

    def __enter__(self) -> Stage:
        self.pace = _Pace(self.expected / self.total if self.expected and self.total else None)
        self.listener(Event("stage", self.name, total=self.total))
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def advance(self, count: int = 1, *, message: str = "", **data: Any) -> None:
        """`count` more units are done."""
        self.done += count
        each = self.pace.after(count)
        left = None if each is None else round(each * max(0, self.total - self.done), 2)
        if self.done >= self.total:
            left = 0.0
        self.listener(Event("progress", self.name, self.done, self.total, left, message, data))


class _Pace:
    """Seconds per unit: a running mean over the last units, so that it follows the machine's load."""

    def __init__(self, expected: float | None):
        self.each, self.weight = expected, EXPECTED_UNITS if expected else 0.0
        self.warm = expected is not None
        self.at = time.monotonic()

    def after(self, count: int) -> float | None:
        """Seconds per unit now that `count` more are done; None while nothing is known."""
        now = time.monotonic()
        took, self.at = now - self.at, now
        if count <= 0:
            return self.each
        if not self.warm:
            self.warm = True
            return None
        self.weight = min(self.weight + count, max(REMEMBERED_UNITS, count))
        before = self.each or 0.0
        self.each = before + (took / count - before) * count / self.weight
        return self.each
