"""The `medsynth` command: finds the command, runs it, and turns errors into one line and a code.

Exit codes: 0 done; 2 the user can cure it (one line on stderr says how); 130 stopped by Ctrl-C or
SIGTERM; 1 a bug.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from medsynth import __version__, lazy, threads
from medsynth.cli import progress
from medsynth.errors import MissingExtra
from medsynth.events import Event, printable

COMMANDS = (
    "synthesize",
    "dataset",
    "preview",
    "phantom",
    "lesions",
    "generate",
    "compare",
    "demo",
    "info",
    "models",
    "train",
    "refine",
    "bench",
    "evaluate",
    "audit",
    "verify",
    "sign",
    "study",
    "utility",
    "pacs",
    "send",
    "outbox",
    "fetch",
    "serve",
    "web",
)
DONE, BUG, REFUSED, STOPPED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line too."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"medsynth: error: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports nothing heavy."""
    root = _Parser(
        prog="medsynth",
        description="Guided synthesis of annotated medical images. "
        "What it makes is synthetic and not for diagnosis.",
    )
    root.add_argument("--version", action="version", version=f"medsynth {__version__}")
    subparsers = root.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in COMMANDS:
        importlib.import_module(f"medsynth.cli.{name}").add_parser(subparsers)
    for command in subparsers.choices.values():
        for leaf in _leaves(command):
            _add_common(leaf)
    return root


def _leaves(command: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """`command`, or the parsers of its actions (`medsynth pacs list`)."""
    nested = [a for a in command._actions if isinstance(a, argparse._SubParsersAction)]
    if not nested:
        yield command
    for action in nested:
        for below in action.choices.values():
            yield from _leaves(below)


def _add_common(command: argparse.ArgumentParser) -> None:
    common = command.add_argument_group("for every command")
    common.add_argument(
        "--progress",
        choices=progress.MODES,
        default="auto",
        help="bar: drawn on the terminal; json: one JSON line per event on stdout, for other "
        "programs; none: warnings only (default: auto)",
    )
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    threads.wait_passively()  # before anything imports torch
    lazy.leave_out()
    args = parser().parse_args(argv)
    if args.command is None:
        parser().print_help()
        return REFUSED
    command = importlib.import_module(f"medsynth.cli.{args.command}")
    listener = progress.listener(args.progress)
    try:
        with _sigterm_as_ctrl_c():
            return command.run(args, listener)
    except BrokenPipeError:
        # Whoever read our output is gone; the interpreter must not fail again while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BUG
    except KeyboardInterrupt as stop:
        return _say(listener, stopped(stop), STOPPED)
    except Exception as error:
        if args.debug:
            raise
        if is_for_the_user(error):
            return _say(listener, f"error: {one_line(error)}", REFUSED)
        return _say(
            listener,
            f"error: this is a bug ({type(error).__name__}: {one_line(error)}); "
            "run again with --debug and report the traceback",
            BUG,
        )


def stopped(stop: KeyboardInterrupt) -> str:
    """What a stopped command says: the message of `stop` where something was kept."""
    return str(stop) or "stopped; nothing was left behind"


def is_for_the_user(error: Exception) -> bool:
    """Whether the message of `error` tells the user what to change; anything else is our bug.

    GeometryError and CheckpointError are ValueErrors. PyTorch reports memory that ran out as a
    RuntimeError of its own.
    """
    if isinstance(error, (ValueError, OSError, MissingExtra, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and _ran_out_of_memory(error)


def one_line(error: Exception) -> str:
    """The message of `error` without line breaks or an errno in brackets."""
    # A plain MemoryError is our refusal with its own advice; NumPy raises a class of its own.
    refused = type(error) is MemoryError and str(error)
    ran_out = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _ran_out_of_memory(error)
    )
    if ran_out and not refused:
        return "not enough memory; synthesize fewer slices (extent: roi) or close other programs"
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        words = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(words.split()) or type(error).__name__


def _ran_out_of_memory(error: RuntimeError) -> bool:
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words


def _say(listener: progress.Listener, message: str, code: int) -> int:
    """The last line of a command that did not end well, for people and for programs."""
    listener(Event("error", message=message.removeprefix("error: "), data={"exit_code": code}))
    print(f"medsynth: {printable(message)}", file=sys.stderr, flush=True)
    return code


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM (the Cancel of other programs) raises KeyboardInterrupt, once.

    A second one must not disturb the clearing up. Only the main thread may set handlers.
    """

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


if __name__ == "__main__":
    sys.exit(main())
