"""The options of `python -m monai.bundle run`: refused where they would do nothing, errors in one line."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from medsynth.cli import app as cli
from medsynth.events import printable

MONAI_PROGRAM = ("monai", "bundle", "__main__.py")


def check_processes(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse `multi_gpu_train.json` without torchrun, where it would do nothing.

    Raises:
        ValueError: there are no other processes.
    """
    if int(environment.get("WORLD_SIZE", 1)) < 2:
        raise ValueError(
            "multi_gpu_train.json needs at least 2 processes, got 1; start it by "
            "`torchrun --nproc_per_node N -m monai.bundle run ...`, or leave it out"
        )


def check_options(options: Iterable[str], *, argv: Sequence[str] | None = None) -> None:
    """Refuse an option of `python -m monai.bundle run` that would do nothing.

    MONAI takes any option and adds it to the config; a misspelt one would be ignored, and of one that
    is given twice all but the last. `options` are the config's; MONAI's own and ids inside the config
    (`network_def::weights`) are let through. A config that another program runs is not checked.

    Raises:
        ValueError: an unknown option, with the nearest match, or one given twice.
    """
    argv = sys.argv if argv is None else argv
    if not started_by_monai(argv):
        return
    from monai.bundle import run

    options = list(options)
    monai_options = [
        p.name for p in inspect.signature(run).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    known, seen = (*options, *monai_options), set()
    for name in _option_names(argv[1:]):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean --{near[0]}?" if near else f"expected --{', --'.join(options)}"
            raise ValueError(f"unknown option --{name}; {cure}")
        if name in seen:
            raise ValueError(
                f"--{name} is given twice, and MONAI would take only the last; give it once"
            )
        seen.add(name)


def report_errors(*, debug: bool = False, argv: Sequence[str] | None = None) -> None:
    """End `python -m monai.bundle run` as the `medsynth` command ends: one line, and its exit codes.

    From Python, and with `debug`, errors are raised as they are.
    """
    check_flag("debug", debug)
    if started_by_monai(sys.argv if argv is None else argv) and not debug:
        sys.excepthook = _say_and_exit
        signal.signal(signal.SIGTERM, _interrupt)


def started_by_monai(argv: Sequence[str]) -> bool:
    """Whether this program is `python -m monai.bundle`."""
    return bool(argv) and Path(argv[0]).parts[-3:] == MONAI_PROGRAM


def check_flag(name: str, value: Any) -> bool:
    """`value`, which Fire reads as a bool only if it is written True or False.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"--{name} must be True or False, got {value!r}")
    return value


def check_path(name: str, value: Any) -> Path:
    """The path given for the option `name`.

    Raises:
        ValueError: it is not given, or Fire read a number.
    """
    if value is None:
        raise ValueError(f"--{name} is not given")
    if not isinstance(value, (str, Path)):
        # Fire reads `--out 7` as a number, and `--out 1e3` as another one than was meant.
        raise ValueError(f"--{name} was read as {value!r}, expected a path; write it as ./NAME")
    return Path(value)


def path(value: Any, *, name: str = "path") -> Path | None:
    """The path given for the option `name`; None stays None.

    Raises:
        ValueError: Fire read a number.
    """
    return None if value is None else check_path(name, value).expanduser()


def names(value: str | Sequence[str] | None) -> list[str] | None:
    """Names separated by commas, which Fire reads as a tuple; None stays None."""
    if value is None:
        return None
    given = value.split(",") if isinstance(value, str) else value
    return [str(name).strip() for name in given]


def check_flags(**flags: Any) -> None:
    """Refuse flags that are neither True nor False.

    Raises:
        ValueError: one is something else.
    """
    for name, value in flags.items():
        check_flag(name, value)


def absolute(name: str, value: Any) -> str:
    """Where a path that the user gave lies; those in a request's file start at its folder."""
    return str(check_path(name, value).expanduser().absolute())


def require(**options: Any) -> None:
    """Refuse paths that are not given, before anything is built.

    Raises:
        ValueError: one is not, or Fire read a number.
    """
    for name, value in options.items():
        check_path(name, value)


def check_assignments(assignments: Any) -> list[str]:
    """KEY=VALUE lines.

    Raises:
        ValueError: they are no such lines.
    """
    lines = [assignments] if isinstance(assignments, str) else assignments
    if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"--set must be KEY=VALUE or a list of such, got {assignments!r}")
    return list(lines)


def of_the_user(error: BaseException) -> BaseException:
    """The error that an object of a config raised; MONAI wraps it while it builds the config."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


def _say_and_exit(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """As an exception hook."""
    error = of_the_user(error)
    if isinstance(error, KeyboardInterrupt):
        message, code = cli.stopped(error), cli.STOPPED
    elif isinstance(error, Exception) and cli.is_for_the_user(error):
        message, code = f"error: {cli.one_line(error)}", cli.REFUSED
    else:
        sys.__excepthook__(kind, error, trace)
        message, code = "error: this is a bug; report the traceback above", cli.BUG
    print(f"medsynth: {printable(message)}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM as Ctrl-C, once: a second one must not disturb the clearing up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _option_names(arguments: Sequence[str]) -> Iterable[str]:
    """Names of the options in a command line for Fire, which ends them with a bare `--`."""
    for argument in arguments:
        if argument == "--":
            return
        option = re.match(r"--?([A-Za-z_][\w-]*)(?![\w:#-])", argument)
        if option:
            yield option[1].replace("-", "_")
