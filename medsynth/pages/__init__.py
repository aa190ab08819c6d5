"""Pages as HTML: a template's {{names}} filled in once, in the head, style, opening and closing that are shared."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAME = re.compile(r"\{\{(\w+)\}\}")


def filled(template: Path, parts: Mapping[str, str]) -> str:
    """The page of `template` with each {{name}} replaced by its part, which is not looked into.

    Raises:
        KeyError: the template has a name that `parts` has not.
    """
    shared = {
        "head": _read("head.html") + "\n",
        "base_css": _read("base.css"),
        "closing": _read("closing.html"),
    }
    named = {**shared, **parts}
    text = template.read_text(encoding="utf-8")
    for first in ("opening", "plain"):  # they have names of their own
        text = text.replace(f"{{{{{first}}}}}", _read(f"{first}.html"))
    return NAME.sub(lambda name: named[name[1]], text)


def section(title: str, body: str) -> str:
    """A titled part of the page."""
    return f"<section><h2>{html.escape(title)}</h2>\n{body}</section>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table that scrolls where it is wider than the page."""
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    return '<div class="scroll">' + "".join(lines) + "</table></div>"


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").rstrip("\n")
