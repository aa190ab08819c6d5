"""How a command introduces itself: one line in the list, and a page of its own."""

from __future__ import annotations

import argparse


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
