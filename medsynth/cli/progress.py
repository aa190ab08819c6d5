"""Listeners for the command line: a bar, plain lines, or one JSON line per event.

Everything for people goes to stderr, except the last word of a command (`result`), which goes to
stdout. With `--progress json` stdout holds nothing but JSON lines.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from medsynth.events import Event, Listener, printable

MODES = ("auto", "bar", "json", "none")
SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_DRAWINGS = 0.1


def listener(mode: str) -> Listener:
    """The listener for `--progress MODE`; `auto` draws a bar where stderr is a terminal.

    Raises:
        ValueError: no such mode.
    """
    if mode not in MODES:
        raise ValueError(f"progress: expected {', '.join(MODES)}, got {mode!r}")
    if mode == "json":
        return write_json
    if mode == "none":
        return Quiet()
    return Bar() if mode == "bar" or sys.stderr.isatty() else Lines()


def write_json(event: Event) -> None:
    """One JSON line on stdout, at once."""
    print(event.to_json(), flush=True)


class Quiet:
    """Warnings and the result only."""

    def __call__(self, event: Event) -> None:
        if event.kind == "warning":
            self.say(f"medsynth: warning: {event.message}")
        elif event.kind == "result" and event.message:
            print(printable(event.message), flush=True)

    def say(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)


class Lines(Quiet):
    """A line when a stage begins and every few seconds: for logs and pipes."""

    def __init__(self) -> None:
        self.spoke_at = 0.0

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if event.kind == "estimate":
            self.say(event.message)
        elif event.kind == "stage":
            self.spoke_at = time.monotonic()
            self.say(f"{event.stage} ...")
        elif event.kind == "progress":
            waited = time.monotonic() - self.spoke_at
            if waited >= SECONDS_BETWEEN_LINES:
                self.spoke_at = time.monotonic()
                self.say(" ".join([event.stage, *_figures(event)]))


class Bar(Quiet):
    """One line that is drawn over and over; a finished stage leaves its line with the time it took."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.stage = ""
        self.drawn_at = 0.0

    def __call__(self, event: Event) -> None:
        if event.kind in ("stage", "result", "error") or event.kind != "progress":
            self._finish()
        super().__call__(event)
        if event.kind == "estimate":
            self.say(event.message)
        elif event.kind == "stage":
            self.stage, self.started, self.drawn_at = event.stage, time.monotonic(), 0.0
            self._draw(event)
        elif event.kind == "progress":
            last = event.done >= event.total
            if last or time.monotonic() - self.drawn_at >= SECONDS_BETWEEN_DRAWINGS:
                self._draw(event)

    def _draw(self, event: Event) -> None:
        self.drawn_at = time.monotonic()
        columns = shutil.get_terminal_size().columns - 1
        figures = "  ".join(_figures(event))
        room = max(5, min(30, columns - len(figures) - 24))
        full = round(room * event.done / event.total) if event.total else 0
        bar = "#" * full + "-" * (room - full)
        # \x1b[K: erase what an earlier, longer line left behind.
        self.stream.write(f"\r{f'{event.stage:<18} {bar}  {figures}'[:columns]}\x1b[K")
        self.stream.flush()

    def _finish(self) -> None:
        """Replace the bar by one line with the time the stage took."""
        if not self.stage:
            return
        took = time.monotonic() - self.started
        self.stream.write(f"\r{self.stage:<18} {clock(took)}\x1b[K\n")
        self.stream.flush()
        self.stage = ""


def _figures(event: Event) -> list[str]:
    figures = [f"{event.done}/{event.total}"] if event.total else []
    if event.seconds_left is not None and event.done < event.total:
        figures.append(f"{clock(event.seconds_left)} left")
    return figures + ([printable(event.message, keep="")] if event.message else [])


def clock(seconds: float) -> str:
    """`8 s`, `2 min 05 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else "< 1 s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
