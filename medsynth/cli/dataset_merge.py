"""`medsynth dataset merge A B -o C`: several sets as one."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Event, Listener

DESCRIPTION = """\
Make one set of several. Images are numbered anew in the order given and nothing is synthesized again.
Refused are sets of different domains, a patient who would be in two splits, and the same image twice.
Files are shared with the sets they come from where the disk can, else copied."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`merge` and its options."""
    parser = add_command(subparsers, "merge", "make one set of several", DESCRIPTION)
    parser.add_argument("sets", metavar="SET", type=Path, nargs="+", help="two or more sets")
    add_out(parser, "DIR", "the new set")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Merge; layouts and pages follow with `convert`."""
    from medsynth.factory.finish import finish
    from medsynth.factory.merging import merge

    dataset = merge(args.sets, args.out, listener=listener)
    finish(dataset.folder, listener=listener)
    images = sum(1 for _ in dataset.items())
    data = {"folder": str(dataset.folder), "images": images}
    listener(Event("result", message=f"wrote {dataset.folder}: {images} images", data=data))
    return 0
