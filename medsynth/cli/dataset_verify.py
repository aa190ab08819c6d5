"""`medsynth dataset verify DIR`: exit code 0 when a set is what it says, 1 with a list when not."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_command
from medsynth.events import Event, Listener, printable

FAULTY = 1

DESCRIPTION = """\
Check a data set: every image is there, whole and marked as synthetic; every mask lies on its image and is
the one that the record speaks of; no patient is in two splits; every license is known; every layout holds
the images of the set, unchanged. Nothing is mended. Exit code 1: something is wrong, one line each."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`verify` and its options."""
    parser = add_command(
        subparsers, "verify", "check files, masks, splits, marks and licenses of a set", DESCRIPTION
    )
    parser.add_argument(
        "set", metavar="DIR", type=Path, help="the set, as `medsynth dataset` made it"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Print every fault; the exit code says whether there is one."""
    from medsynth.factory.store import open_set
    from medsynth.factory.verifying import find_faults

    dataset = open_set(args.set)
    faults = 0
    for fault in find_faults(dataset, listener=listener):
        faults += 1
        data = {"where": fault.where, "what": fault.what}
        listener(Event("warning", message=printable(str(fault)), data=data))
    if faults:
        words = f"{args.set}: {faults} {'fault' if faults == 1 else 'faults'}"
        listener(Event("result", message=words, data={"faults": faults}))
        return FAULTY
    images = sum(1 for _ in dataset.items())
    words = f"{args.set}: {images} images, nothing is wrong"
    listener(Event("result", message=words, data={"faults": 0, "images": images}))
    return 0
