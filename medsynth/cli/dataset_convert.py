"""`medsynth dataset convert DIR --to LAYOUT`: a set, or a layout of one, as another layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Event, Listener
from medsynth.factory.layouts import LAYOUTS

DESCRIPTION = """\
Write the finished images of a set in another layout. DIR may also be a layout that was taken out of its set, if it holds every value (nifti, nnunet, monai,
webdataset). A run that was stopped goes on with the same command."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`convert` and its options."""
    parser = add_command(subparsers, "convert", "write a set in another layout", DESCRIPTION)
    parser.add_argument("source", metavar="DIR", type=Path, help="a set, or a layout of one")
    parser.add_argument(
        "--to", metavar="LAYOUT", required=True, help=f"one of {', '.join(LAYOUTS)}"
    )
    add_out(parser, "FOLDER", "(default: DIR/layouts/LAYOUT)", required=False)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Write the layout, or say that it is there."""
    from medsynth.factory.converting import convert

    folder = convert(args.source, args.to, args.out, listener=listener)
    listener(Event("result", message=f"wrote {folder}", data={"folder": str(folder)}))
    return 0
