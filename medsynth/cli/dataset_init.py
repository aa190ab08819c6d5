"""`medsynth dataset init DOMAIN`: a commented plan to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_out, add_overwrite
from medsynth.events import Event, Listener


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`init` and its options."""
    parser = subparsers.add_parser(
        "init",
        help="write a commented plan for a domain",
        description="Write a plan with every key and a comment on each, to be changed by you.",
    )
    parser.add_argument("domain", metavar="DOMAIN", help="such as lung_ct; see medsynth info")
    add_out(parser, "PLAN", "file to write (default: DOMAIN_plan.yaml)", required=False)
    add_overwrite(parser, "the file")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Write the plan."""
    from medsynth.factory.template import template
    from medsynth.storage.files import new_file

    text = template(args.domain)
    out = args.out or Path(f"{args.domain}_plan.yaml")
    with new_file(out, overwrite=args.overwrite) as partial:
        partial.write_text(text, encoding="utf-8")
    said = f"wrote {out}; look it through, then: medsynth dataset {out} -o DIR --dry-run"
    listener(Event("result", message=said, data={"file": str(out)}))
    return 0
