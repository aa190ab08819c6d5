"""How a command introduces itself: one line in the list, and a page of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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


def add_out(
    parser: argparse.ArgumentParser, metavar: str, what: str | None = None, *, required: bool = True
) -> None:
    """`-o` or `--out`: the file or folder that is written; `what` it is."""
    parser.add_argument("-o", "--out", metavar=metavar, type=Path, required=required, help=what)


def add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    """`--overwrite`: without it nothing that is there is replaced; `what` is, with it."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def add_near_copy(parser: argparse.ArgumentParser, what: str) -> None:
    """`--allow-near-copy NAME`: `what` it lets leave."""
    words = f"{what}; who did so is recorded"
    parser.add_argument("--allow-near-copy", metavar="NAME", help=words)


def key_alone(files: Sequence[Path], asked: bool, *, verb: str, option: str) -> bool:
    """Whether a command that takes files, or makes a key where that is `asked` by `option`, makes the key.

    Raises:
        ValueError: both are given, or neither is.
    """
    if asked and files:
        raise ValueError(f"--new-key takes no FILE; {verb} them in a second command")
    if not asked and not files:
        raise ValueError(f"expected at least one FILE to {verb}, or {option}")
    return asked
