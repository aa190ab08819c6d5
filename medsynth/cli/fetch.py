"""`medsynth fetch NAME`: an anatomy reference comes from where clinicians keep it."""

from __future__ import annotations

import argparse

from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Event, Listener

LINE = "fetch a series from a PACS, as an anatomy reference"
DESCRIPTION = """\
Fetch one series from a PACS into a new folder, which appears complete or not at all. Without -o
the series of the patient or study are listed."""

EXAMPLES = """\
examples:
  medsynth fetch archive --patient 12345
  medsynth fetch archive --study 1.2.3.4 --modality CT
  medsynth fetch archive --study 1.2.3.4 --series 1.2.3.4.5 -o reference"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`fetch` and its options."""
    parser = add_command(subparsers, "fetch", LINE, DESCRIPTION, EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="destination (medsynth pacs)")
    parser.add_argument("--patient", default="", metavar="ID", help="Patient ID")
    parser.add_argument("--study", default="", metavar="UID", help="Study Instance UID")
    parser.add_argument("--series", default="", metavar="UID", help="Series Instance UID")
    parser.add_argument("--modality", default="", help="such as CT, MR, MG")
    add_out(parser, "FOLDER", "folder to make", required=False)
    parser.add_argument(
        "--method",
        choices=("auto", "get", "move"),
        default="auto",
        help="C-GET or C-MOVE (default: C-GET where it is offered); DICOMweb uses WADO-RS",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """List or fetch."""
    from medsynth.pacs import address_book
    from medsynth.pacs.fetch import choose, fetch, search

    destination = address_book.find(args.name)
    found = search(destination, patient=args.patient, study=args.study, modality=args.modality)
    if args.out is None:
        if args.series:
            found = [choose(found, args.series)]
        lines = "\n".join(series.describe() for series in found)
        data = {"series": [{"study": s.study, "series": s.series} for s in found]}
        listener(Event("result", message=lines or "no series match", data=data))
        return 0
    series = choose(found, args.series)
    count = fetch(destination, series, folder=args.out, method=args.method, listener=listener)
    listener(Event("result", message=f"{count} objects of {series.describe()} are in {args.out}"))
    return 0
