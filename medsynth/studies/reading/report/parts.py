"""The pieces that the page is put together from."""

from __future__ import annotations

from typing import Any

from medsynth.studies.reading.report.words import number


def said_as(answer: str) -> str:
    """An answer in the words of the page."""
    return {"fake": "synthetic"}.get(answer, answer)


def plain(value: float | None) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def kappa(found: dict[str, Any]) -> str:
    """Kappa with its interval."""
    return number({"value": found["kappa"], "low": found["low"], "high": found["high"]})
