"""`medsynth dataset PLAN -o DIR`: many annotated images from one plan; `medsynth dataset ACTION`: the rest.

Each action is a file of its own, `medsynth/cli/dataset_ACTION.py`, with `add_parser` and `run`.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

from medsynth.cli.parsers import add_command
from medsynth.events import Listener

ACTIONS = ("make", "init", "verify", "merge", "convert")
# What `medsynth dataset PLAN` means.
USUAL = "make"

DESCRIPTION = """\
Make a set of annotated images from a plan (YAML or JSON): references, lesions with their places, splits
by patient, layouts. The network is loaded once. A run that was stopped goes on with the same command.
`medsynth dataset PLAN -o DIR` is short for `medsynth dataset make PLAN -o DIR`."""

EXAMPLES = """\
examples:
  medsynth dataset init lung_ct -o plan.yaml
  medsynth dataset plan.yaml -o set --dry-run
  medsynth dataset plan.yaml -o set --workers 2
  medsynth dataset make --help"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`dataset`, its actions and their options."""
    parser = add_command(
        subparsers, "dataset", "make a data set from a plan", DESCRIPTION, EXAMPLES
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name in ACTIONS:
        importlib.import_module(f"medsynth.cli.dataset_{name}").add_parser(actions)
    _make_is_usual(parser)


def _make_is_usual(parser: argparse.ArgumentParser) -> None:
    """A command line that names no action is one of `make`."""
    parse_as_written = parser.parse_known_args

    def parse(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        words = list(args or ())
        if words and words[0] not in (*ACTIONS, "-h", "--help"):
            words.insert(0, USUAL)
        return parse_as_written(words, namespace)

    setattr(parser, "parse_known_args", parse)  # noqa: B010 (mypy forbids to assign to a method)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """The action's own."""
    code: int = importlib.import_module(f"medsynth.cli.dataset_{args.action}").run(args, listener)
    return code
