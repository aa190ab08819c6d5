"""`medsynth demo`: the whole job on a drawn thorax, without any data of one's own."""

from __future__ import annotations

import argparse
from typing import Any

from medsynth.commands.synthesize import add_output
from medsynth.events import Listener

DESCRIPTION = """\
Draw a thorax, put a spiculated nodule of 14 mm into its right lung, synthesize the slices that it
touches, and write the same folder as `medsynth synthesize`: open OUT/report.html."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`demo` and its options."""
    parser = subparsers.add_parser(
        "demo", help="make an example without data of one's own", description=DESCRIPTION
    )
    add_output(parser, required=False)
    parser.add_argument(
        "--seed", type=int, default=7, help="another seed, another image (default: 7)"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """The request below, synthesized."""
    from medsynth.request import parse
    from medsynth.results import check_output

    request = parse(demo_request(args.seed))
    check_output(args.out, overwrite=args.overwrite)

    from medsynth import pipeline

    pipeline.run(
        request, args.out, overwrite=args.overwrite, listener=listener, dry_run=args.dry_run
    )
    return 0


def demo_request(seed: int) -> dict[str, Any]:
    """What the demo asks for, as a request file would say it."""
    return {
        "preset": "lung_ct",
        "anatomy": {"phantom": {"kind": "thorax", "seed": 3, "slices": 48}, "factor": 8},
        "pathologies": [
            {
                "center_mm": [-75.0, -10.0, 10.0],
                "diameter_mm": 14.0,
                "source": {"procedural": {"kind": "spiculated"}},
                "factor": 4,
            }
        ],
        "extent": "roi",
        "background": "resynthesize",
        "seed": seed,
    }
