"""How a command introduces itself: one line in the list, and a page of its own."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_command(
    subparsers: argparse._SubParsersAction, name: str, line: str, page: str, end: str = ""
) -> argparse.ArgumentParser:
    """The parser of the command `name`; `page` and `end` keep their line breaks in its help."""
    return subparsers.add_parser(
        name,
        help=line,
        description=page,
        epilog=end,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """`FILE ...`: any number of them; `what` they are."""
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help=what)


def add_changes(parser: argparse.ArgumentParser, what: str) -> None:
    """`--set KEY=VALUE`, any number of times; `what` it changes."""
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=what)
