"""What `train` and `refine` share: the options of a run that stops and goes on, and its recipe."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth import threads
from medsynth.cli.parsers import add_changes, add_out

if TYPE_CHECKING:
    from medsynth.training.recipe import Recipe
    from medsynth.training.stopping import Limits


def add_options(parser: argparse.ArgumentParser, *, start_from: str, example: str) -> None:
    """The options of a run; `start_from` says what it may begin as, `example` is a KEY=VALUE."""
    add_out(parser, "RUN", "run folder")
    parser.add_argument("--data", metavar="FOLDER", help="one folder per patient (data.root)")
    parser.add_argument(
        "--minutes",
        type=float,
        help="stop so long after the start of the command, reading and making crops included, with a "
        "checkpoint",
    )
    parser.add_argument("--stop-at", metavar="STEP", type=int, help="stop at this step")
    parser.add_argument("--start-from", metavar="WEIGHTS", type=Path, help=start_from)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    threads.add_option(parser)
    add_changes(
        parser,
        f"change one value of the recipe, such as {example}; can be given again",
    )


def limits(args: argparse.Namespace) -> Limits:
    """Where this command stops; its minutes begin now.

    Raises:
        ValueError: a limit that lets nothing be done.
    """
    started = time.monotonic()
    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be above 0, got {args.minutes:g}")
    if args.stop_at is not None and args.stop_at < 1:
        raise ValueError(f"--stop-at must be at least 1, got {args.stop_at}")

    from medsynth.training.stopping import Limits

    return Limits(args.minutes, args.stop_at, started)


def system_recipe(args: argparse.Namespace) -> Path | None:
    """The file of an image system's recipe; None: it is one of a network."""
    from medsynth.training.systems.recipe import find

    return find(args.recipe)


def read_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe as the command line changes it.

    Raises:
        ValueError: a recipe that cannot be used.
    """
    from medsynth.request.files import pairs
    from medsynth.training.recipe import load_recipe

    overrides = dict(pairs(args.set))
    if args.data is not None:
        overrides["data.root"] = args.data
    return load_recipe(args.recipe, overrides=overrides)
