"""The figures in sentences: what a study shows, and what it does not."""

from __future__ import annotations

from typing import Any

from medsynth.studies.reading.design import MACHINE


def percent(figure: dict[str, Any] | None) -> str:
    """54 % (46 to 62)."""
    if not figure or figure.get("value") is None:
        return "–"
    if figure.get("low") is None or figure.get("high") is None:
        return f"{100 * figure['value']:.0f} %"
    return (
        f"{100 * figure['value']:.0f} % ({100 * figure['low']:.0f} to {100 * figure['high']:.0f})"
    )


def number(figure: dict[str, Any] | None) -> str:
    """0.54 (0.46 to 0.62)."""
    if not figure or figure.get("value") is None:
        return "–"
    if figure.get("low") is None or figure.get("high") is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


def p_value(p: float | None) -> str:
    """p = 0.03, or p < 0.001."""
    if p is None:
        return "p not known"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def headline(phase: dict[str, Any]) -> list[str]:
    """What the phase says about telling synthetic from real, in one to four sentences."""
    found = phase.get("accuracy")
    if not found:
        return ["This study did not ask for a truth that answers can be held against."]
    these, anyone = found["these_readers"], found["any_readers"]
    one = sum(r["arm"] != MACHINE for r in phase["readers"]) == 1
    said = [
        f"{'The reader was' if one else 'These readers were'} right in {percent(these)} of "
        f"{found['answers']} answers that took a side."
    ]
    said.append(_against_chance(these, found["equivalence"], one=one))
    if anyone is not None:
        said.append(f"For other readers such as these, the interval is {percent(anyone)}.")
    if phase.get("unsure"):
        half = phase["accuracy_unsure_half"]["these_readers"]
        said.append(
            f"{phase['unsure']} answers were unsure; counted as half right, the share is "
            f"{percent(half)}."
        )
    leaning = phase.get("detection")
    if leaning:
        said.append(_leaning(leaning))
    return said


def _against_chance(these: dict[str, Any], equivalence: dict[str, Any], *, one: bool) -> str:
    margin = equivalence["margin"]
    within = f"within {100 * margin:.0f} points of chance"
    test = equivalence["these_readers"]
    if test["equivalent"]:
        return f"This is {within}, the margin fixed beforehand (TOST, {p_value(test['p'])})."
    if these["low"] is not None and these["low"] > 0.5:
        return "They tell synthetic from real better than by chance."
    if these["high"] is not None and these["high"] < 0.5:
        return "They are wrong more often than by chance: they see a difference and misread it."
    return (
        "This does not differ from chance, but it is not shown to be "
        f"{within} either (TOST, {p_value(test['p'])}): more answers are needed to say so."
    )


def _leaning(leaning: dict[str, Any]) -> str:
    c = leaning["criterion"]["these_readers"]
    d = leaning["d_prime"]["these_readers"]
    if c["low"] is not None and c["low"] > 0:
        tends = "; they lean to calling images real"
    elif c["high"] is not None and c["high"] < 0:
        tends = "; they lean to calling images synthetic"
    else:
        tends = ""
    return f"Sensitivity d' is {number(d)}, criterion {number(c)}{tends}."
