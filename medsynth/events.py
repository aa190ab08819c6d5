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
    """

    def __init__(self, name: str, *, total: int, listener: Listener = ignore):
        self.name, self.total, self.listener = name, total, listener
        self.done = 0

    def __enter__(self) -> Stage:
        self.started = time.monotonic()
        self.listener(Event("stage", self.name, total=self.total))
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def advance(self, count: int = 1, *, message: str = "", **data: Any) -> None:
        """`count` more units are done."""
        self.done += count
        elapsed = time.monotonic() - self.started
        left = elapsed / self.done * (self.total - self.done) if self.done else None
        left = None if left is None else round(left, 2)
        self.listener(Event("progress", self.name, self.done, self.total, left, message, data))
