"""`medsynth dataset PLAN -o DIR`: make what is missing of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth import threads
from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Listener

INCOMPLETE = 3

LINE = "make what is missing of a set (the usual action: the word can be left out)"
DESCRIPTION = """\
Read a plan (YAML or JSON) and make the set in DIR: items/ID (image, masks, request.yaml, result.json),
plan.jsonl (what was drawn for each), the layouts that the plan names. Ctrl-C, then the same command,
goes on; what could not be made is tried again. Exit code 3: some images could not be made."""

EXAMPLES = """\
examples:
  medsynth dataset plan.yaml -o set --dry-run
  medsynth dataset plan.yaml -o set
  medsynth dataset plan.yaml -o set --workers 2
  medsynth dataset plan.yaml -o set --only 1234
  medsynth dataset plan.yaml -o set --ray auto"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`make` and its options."""
    parser = add_command(subparsers, "make", LINE, DESCRIPTION, EXAMPLES)
    parser.add_argument("plan", metavar="PLAN", type=Path, help="plan file, YAML or JSON")
    add_out(parser, "DIR", "folder of the set")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say how long it takes and how large it becomes; make nothing",
    )
    parser.add_argument("--only", metavar="ID", help="make this one image, such as 1234")
    parser.add_argument("--limit", metavar="N", type=int, help="make at most N images now")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=0,
        help="worker processes on this computer (default: none, this process makes the images)",
    )
    parser.add_argument(
        "--ray",
        metavar="auto|ADDRESS",
        help="make the images on a Ray cluster: that of RAY_ADDRESS or a new one on this computer "
        "(auto), or the one at ADDRESS. DIR must be the same folder on every node",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="threads of each process (default: the plan's, else 1). Part of the plan: another number "
        "rounds sums differently",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Check the plan, then make the set or estimate it."""
    from medsynth.factory.parse import load_plan

    _check(args)
    overrides = {} if args.threads is None else {"threads": threads.choose(args.threads)}
    plan = load_plan(args.plan, overrides=overrides)

    from medsynth.factory import engine

    where = engine.Where(workers=args.workers, ray=args.ray)
    if args.dry_run:
        from medsynth.factory.estimate import estimate

        estimate(plan, args.out, where=where, listener=listener)
        return 0
    summary = engine.make(
        plan, args.out, where=where, only=args.only, limit=args.limit, listener=listener
    )
    return INCOMPLETE if summary.quarantined else 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that cannot act."""
    if args.workers < 0 or args.workers > threads.MOST:
        raise ValueError(f"--workers must be from 0 to {threads.MOST}, got {args.workers}")
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {args.limit}")
    if args.only is not None and args.limit is not None:
        raise ValueError("--only and --limit exclude each other; keep one of the two")
    if args.only is not None and not args.only.isdigit():
        raise ValueError(f"--only: expected the number of an image such as 1234, got {args.only!r}")
    if args.ray is not None and args.workers:
        raise ValueError("--ray and --workers exclude each other; keep one of the two")
