"""What can be undone: a snapshot of what a user made, one after each step.

A snapshot is a value that equals another one where nothing differs; who owns it knows how to take it and
how to bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

MOST_STEPS = 20


class History:
    """Steps back, and forth again.

    Args:
        take: gives a snapshot of what is there now.
        restore: brings a snapshot back.
        most: how many steps are kept.
    """

    def __init__(
        self,
        take: Callable[[], Any],
        restore: Callable[[Any], None],
        *,
        most: int = MOST_STEPS,
    ) -> None:
        self.take, self.restore, self.most = take, restore, most
        self.past: list[tuple[str, Any]] = []  # what a step is called, and what was there before it
        self.future: list[tuple[str, Any]] = []
        self.now, self.last = take(), ""

    def commit(self, title: str, *, merge: bool = False) -> None:
        """A step was made; none where nothing differs.

        Args:
            title: as a button says it: `place of pathology 1`.
            merge: make it one with the step before, if that has the same title: a slider moves in many.
        """
        found = self.take()
        if found == self.now:
            return
        if not (merge and self.past and self.last == title):
            self.past = [*self.past, (title, self.now)][-self.most :]
        self.now, self.last, self.future = found, title, []

    def undo(self) -> None:
        """Back to what was there before the last step; nothing without one."""
        self._go(self.past, self.future)

    def redo(self) -> None:
        """Make the step again that was undone last; nothing without one."""
        self._go(self.future, self.past)

    def _go(self, source: list[tuple[str, Any]], target: list[tuple[str, Any]]) -> None:
        if not source:
            return
        title, found = source.pop()
        target.append((title, self.now))
        self.restore(found)
        self.now, self.last = self.take(), ""

    @property
    def undoes(self) -> str:
        """Title of the step that `undo` takes back, or an empty text."""
        return self.past[-1][0] if self.past else ""

    @property
    def redoes(self) -> str:
        """Title of the step that `redo` makes again, or an empty text."""
        return self.future[-1][0] if self.future else ""

    def reachable(self) -> Iterator[Any]:
        """Every snapshot that may come back, and that of now."""
        yield from (found for _, found in (*self.past, *self.future))
        yield self.now

    def clear(self) -> None:
        """Forget all steps: what is there now is where it begins."""
        self.past, self.future, self.now, self.last = [], [], self.take(), ""
