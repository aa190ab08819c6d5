"""When to stop a training run: the recipe's end, a step, a time, or the user; always between steps."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Limits:
    """Where to stop before the recipe's last step: after `minutes`, or at optimizer step `step`.

    The minutes count from `started` (`time.monotonic()`), the command's beginning: what is read or
    made before the first step is part of them.
    """

    minutes: float | None = None
    step: int | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether the minutes are."""
        return self.minutes is not None and time.monotonic() - self.started > self.minutes * 60


class Interrupt:
    """Ctrl-C and SIGTERM as a wish that is fulfilled between two steps.

    A step that is cut in two would leave a network that has moved and an average that has not. Only
    a second Ctrl-C does not wait: `timeout` and schedulers send SIGTERM to a process and to its group,
    so that it comes twice, and kill what does not end.
    """

    def __init__(self) -> None:
        self.requested = False

    def _wish(self, signum: int, frame: FrameType | None) -> None:
        if self.requested and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True

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
