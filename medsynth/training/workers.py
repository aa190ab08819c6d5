"""The processes that draw batches ahead: they outlive signals to the group, and end with the loop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from medsynth.training.stopping import SIGNALS


def drawn_ahead(loader: DataLoader) -> Iterator[Any]:
    """The batches of `loader`, whose worker processes have ended when this ends."""
    with starting_workers():
        batches = iter(loader)
    try:
        yield from batches
    finally:
        # They end with their iterator; but a traceback may hold that until Python leaves, which
        # would then wait for processes that ignore its SIGTERM.
        end = getattr(batches, "_shutdown_workers", None)
        if end is not None:
            end()


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Hold the signals back while processes are started, until each has called `leave_to_parent`.

    They inherit this; the parent has what arrived meanwhile at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows has no process groups to signal
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent(worker: int) -> None:
    """In a DataLoader's process: a signal to the whole group is for the parent, who ends this one.

    PyTorch ends its workers by an event, and a worker whose parent is gone ends by itself.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
