"""What can be undone: steps with their titles, the last one first, on the page and in the module.

A step holds what takes it back. On the page that is a snapshot of what a user made, a value that equals another one
where nothing differs; in the module, where each part knows how to take back what it did, it is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

MOST_STEPS = 20
T = TypeVar("T")


class UndoSteps(Generic[T]):
    """Steps back, and forth again.

    Args:
        apply: takes a step back by what it holds; gives what makes it again, or None where nothing does.
        most: how many steps are kept.
    """

    def __init__(self, apply: Callable[[T], T | None], *, most: int = MOST_STEPS) -> None:
        self.apply, self.most = apply, most
        self.past: list[tuple[str, T]] = []
        self.future: list[tuple[str, T]] = []

    def add(self, title: str, back: T) -> None:
        """A step was made; `title` is as a button says it: `place of pathology 1`."""
        self.past = [*self.past, (title, back)][-self.most :]
        self.future = []

    def undo(self) -> None:
        """Take the last step back; nothing without one."""
        self._go(self.past, self.future)

    def redo(self) -> None:
        """Make the step again that was undone last; nothing without one."""
        self._go(self.future, self.past)

    def _go(self, source: list[tuple[str, T]], target: list[tuple[str, T]]) -> None:
        if not source:
            return
        # First: one that cannot be taken back is not in the way of those before it.
        title, what = source.pop()
        again = self.apply(what)
        if again is not None:
            target.append((title, again))

    @property
    def undoes(self) -> str:
        """Title of the step that `undo` takes back, or an empty text."""
        return self.past[-1][0] if self.past else ""

    @property
    def redoes(self) -> str:
        """Title of the step that `redo` makes again, or an empty text."""
        return self.future[-1][0] if self.future else ""

    def clear(self) -> None:
        """Forget all steps."""
        self.past, self.future = [], []


class History(UndoSteps[Any]):
    """Steps between snapshots.

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
        super().__init__(self._bring, most=most)
        self.take, self.restore = take, restore
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
        if merge and self.past and self.last == title:
            self.future = []
        else:
            self.add(title, self.now)
        self.now, self.last = found, title

    def _bring(self, found: Any) -> Any:
        before = self.now
        self.restore(found)
        self.now, self.last = self.take(), ""
        return before

    def reachable(self) -> Iterator[Any]:
        """Every snapshot that may come back, and that of now."""
        yield from (found for _, found in (*self.past, *self.future))
        yield self.now

    def clear(self) -> None:
        """Forget all steps: what is there now is where it begins."""
        super().clear()
        self.now, self.last = self.take(), ""
