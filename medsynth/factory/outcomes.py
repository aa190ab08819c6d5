"""What became of one image, and what is tried before it is given up."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medsynth.errors import CheckpointError
from medsynth.factory.item import ITEMS, Maker, is_complete
from medsynth.factory.rows import PlanRow

MADE, FAILED, STOP = "made", "failed", "stop"
ATTEMPTS = 2
FULL = (errno.ENOSPC, errno.EDQUOT)
# How long an image that another process is writing (of a run that was killed) is waited for.
BUSY_SECONDS, BUSY_STEP = 120.0, 0.5


@dataclass(frozen=True)
class ImageOutcome:
    """`state`: made; failed, which concerns this image; stop, which concerns all (a full disk)."""

    id: str
    state: str
    error: str = ""
    attempts: int = 1
    seconds: float = 0.0
    sampling: float = 0.0
    bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def attempt(maker: Maker, row: PlanRow) -> ImageOutcome:
    """Make one image; what fails is tried once more with everything read anew."""
    error: Exception | None = None
    for number in range(1, ATTEMPTS + 1):
        try:
            made = _unless_busy(maker, row)
        except Exception as refused:
            error = refused
            if concerns_all(refused):
                return ImageOutcome(row.id, STOP, said(refused), number)
            maker.arranger.forget()
            continue
        return ImageOutcome(row.id, MADE, "", number, *made)
    assert error is not None
    return ImageOutcome(row.id, FAILED, said(error), ATTEMPTS)


def attempt_all(maker: Maker, rows: Sequence[PlanRow]) -> Iterator[ImageOutcome]:
    """Every image of `rows`, up to what concerns them all."""
    for row in rows:
        outcome = attempt(maker, row)
        yield outcome
        if outcome.state == STOP:
            return


def _unless_busy(maker: Maker, row: PlanRow) -> tuple[float, float, int]:
    """Seconds, those of sampling, bytes; zeros where another process has made it meanwhile."""
    waited = 0.0
    while True:
        try:
            made = maker.make(row)
            return made.seconds, made.sampling, made.bytes
        except FileExistsError:
            if is_complete(maker.folder / ITEMS / row.id, row):
                return 0.0, 0.0, 0
            raise
        except BlockingIOError:
            if waited >= BUSY_SECONDS:
                raise
            time.sleep(BUSY_STEP)
            waited += BUSY_STEP


def concerns_all(error: Exception) -> bool:
    """Whether no other image could be made either."""
    full = isinstance(error, OSError) and error.errno in FULL
    return full or isinstance(error, CheckpointError)


def said(error: Exception) -> str:
    """One line; of what nobody foresaw, with the name of its type."""
    words = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:  # str() would put its number before it
        words = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    known = isinstance(error, (ValueError, OSError, MemoryError)) and words
    return words if known else f"{type(error).__name__}: {words}"
