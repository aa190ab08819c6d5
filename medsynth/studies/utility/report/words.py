"""The figures in sentences: a gain, no gain, or harm; a negative result is said as plainly as another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain_figure(found: Mapping[str, float], *, sign: bool = False) -> str:
    """0.81 (0.75 to 0.86), or with its sign +0.041 (-0.010 to +0.092)."""
    form = "+.3f" if sign else ".3f"
    return f"{found['value']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def sentences_of(base: Mapping[str, Any], comparisons: list[dict[str, Any]]) -> list[str]:
    """One sentence of real images only, and one or two of each synthetic arm."""
    words = [f"Real images only: AUC {plain_figure(base['auc'])}."]
    for found in comparisons:
        first, *controls = found["against"]
        said = (
            f"{found['name']}: AUC {plain_figure(found['auc'])}, "
            f"{plain_figure(first, sign=True)} against real only: {found['verdict']}."
        )
        behind = [a["control"] for a in controls if a["low"] <= 0]
        if behind and found["verdict"].startswith("gain"):
            said += f" Not shown to be better than {', '.join(behind)}."
        words.append(said)
    if not comparisons:
        words.append("No synthetic images were given: there is nothing to compare with.")
    return words
