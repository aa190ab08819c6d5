"""A kind's options: checked against their ranges, the missing ones drawn."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from medsynth.domains.lesion_kinds import KINDS, LesionKind
from medsynth.lesions.lung_material import spicule_length_mm
from medsynth.request.aliases import lesion_kind, lesion_options


def kind_named(name: str) -> LesionKind:
    """The kind called `name`; ValueError with the nearest match when there is none."""
    name = lesion_kind(name)
    if name not in KINDS:
        raise ValueError(f"unknown lesion kind {name!r}, {_expected(name, KINDS)}")
    return KINDS[name]


def draw_options(
    name: str, given: dict[str, Any], *, diameter_mm: float, generator: np.random.Generator
) -> dict[str, Any]:
    """Every option of the kind `name`: the `given` ones, and draws for the others.

    All are drawn in a fixed order whether given or not, so that giving one changes nothing else.

    Raises:
        ValueError: an unknown option, or a value out of its range.
    """
    kind, given = kind_named(name), lesion_options(given)
    for key, value in given.items():
        _check(name, key, value, kind.options)
    drawn: dict[str, Any] = {}
    for key, choices in kind.ranges.items():
        if isinstance(choices[0], str):
            drawn[key] = str(choices[generator.integers(len(choices))])
        else:
            drawn[key] = round(float(generator.uniform(*choices)), 3)
    if "spicule_length_mm" in kind.options:
        drawn["spicule_length_mm"] = round(spicule_length_mm(diameter_mm), 3)
    for key in (option.name for option in kind.parameters if option.whole):
        if key in drawn:
            drawn[key] = int(drawn[key])
    return drawn | given


def _check(name: str, key: str, value: Any, options: dict[str, tuple]) -> None:
    if key not in options:
        raise ValueError(
            f"unknown option {key!r} of lesion kind {name!r}, {_expected(key, options)}"
        )
    allowed = options[key]
    if isinstance(allowed[0], str):
        if value not in allowed:
            raise ValueError(f"{key} {value!r} is unknown, {_expected(value, allowed)}")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and allowed[0] <= value <= allowed[1]):
        raise ValueError(
            f"{key} of a {name} lesion must be a number from {allowed[0]:g} to {allowed[1]:g}, "
            f"got {value!r}"
        )


def _expected(name: Any, known: Any) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"expected one of {', '.join(known)}{hint}"
