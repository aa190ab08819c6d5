"""Which row is next: those of one anatomy together, so that it is read once and many are made from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from medsynth.factory.rows import PlanRow

# The most rows of one anatomy that go to one worker of a cluster at once.
UNIT = 16


class RowQueue:
    """Rows that wait, by anatomy; what a dead worker left comes back to the front."""

    def __init__(self, rows: Iterable[PlanRow]):
        self._waiting: dict[str, deque[PlanRow]] = {}
        for row in rows:
            self._waiting.setdefault(row.anatomy["id"], deque()).append(row)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def next(self, anatomy: str | None, busy: Iterable[str]) -> PlanRow | None:
        """The next row for a worker that has `anatomy` in memory while others work on `busy`."""
        if anatomy not in self._waiting:
            taken = set(busy)
            free = [name for name in self._waiting if name not in taken] or list(self._waiting)
            if not free:
                return None
            anatomy = max(free, key=lambda name: len(self._waiting[name]))
        row = self._waiting[anatomy].popleft()
        if not self._waiting[anatomy]:
            del self._waiting[anatomy]
        return row

    def put_back(self, row: PlanRow) -> None:
        """To be made by another worker."""
        self._waiting.setdefault(row.anatomy["id"], deque()).appendleft(row)


def in_order(rows: Iterable[PlanRow]) -> list[PlanRow]:
    """Rows of one anatomy after one another."""
    by_anatomy: dict[str, list[PlanRow]] = {}
    for row in rows:
        by_anatomy.setdefault(row.anatomy["id"], []).append(row)
    return [row for group in by_anatomy.values() for row in group]


def units(rows: Sequence[PlanRow]) -> list[list[PlanRow]]:
    """Rows of one anatomy, at most `UNIT` at a time."""
    found: list[list[PlanRow]] = []
    for row in in_order(rows):
        last = found[-1] if found else None
        if last is None or len(last) >= UNIT or last[0].anatomy["id"] != row.anatomy["id"]:
            found.append([])
        found[-1].append(row)
    return found
