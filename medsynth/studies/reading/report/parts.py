"""The pieces that the page is put together from."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from medsynth.studies.reading.report.words import number


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


def said_as(answer: str) -> str:
    """An answer in the words of the page."""
    return {"fake": "synthetic"}.get(answer, answer)


def plain(value: float | None) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def kappa(found: dict[str, Any]) -> str:
    """Kappa with its interval."""
    return number({"value": found["kappa"], "low": found["low"], "high": found["high"]})
