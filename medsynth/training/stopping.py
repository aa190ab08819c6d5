"""When to stop a training run: the recipe's end, a step, a time, or the user; always between steps."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Limits:
    """Where to stop before the recipe's last step: after `minutes`, or at optimizer step `step`."""

    minutes: float | None = None
    step: int | None = None

    def deadline(self) -> float:
        """The value of `time.monotonic()` at which the minutes are over."""
        return time.monotonic() + self.minutes * 60 if self.minutes else float("inf")


class Interrupt:
    """Ctrl-C and SIGTERM as a wish that is fulfilled between two steps.

    A step that is cut in two would leave a network that has moved and an average that has not. The
    second signal does not wait.
    """

    def __init__(self) -> None:
        self.wished = False

    def _wish(self, signum: int, frame: FrameType | None) -> None:
        if self.wished:
            raise KeyboardInterrupt
        self.wished = True

    @contextlib.contextmanager
    def listening(self) -> Iterator[Interrupt]:
        """Take the signals; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        earlier = {number: signal.signal(number, self._wish) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def leave_to_parent(worker: int) -> None:
    """In a DataLoader's process: the parent decides when to end, and ends it by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
