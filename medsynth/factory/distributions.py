"""Numbers that a plan leaves to chance: constant, uniform, normal, log-normal or one of a list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medsynth.request import fields

if TYPE_CHECKING:
    import numpy as np

KINDS = ("uniform", "normal", "lognormal", "choice")
# How often a number outside `clip` is drawn again before it is set to the nearer end.
TRIES = 100


@dataclass(frozen=True)
class Distribution:
    """`kind` with its `values`: two ends; mean and deviation; median and geometric deviation; a list.

    `clip`: what lies outside is drawn again, so that nothing piles up at the ends.
    """

    kind: str
    values: tuple[float, ...]
    clip: tuple[float, float] = (-math.inf, math.inf)
    whole: bool = False

    def draw(self, generator: np.random.Generator) -> float:
        """One number; whole ones are int."""
        for _ in range(TRIES):
            value = self._draw(generator)
            if self.clip[0] <= value <= self.clip[1]:
                break
        value = min(max(value, self.clip[0]), self.clip[1])
        return round(value) if self.whole else round(value, 4)

    def _draw(self, generator: np.random.Generator) -> float:
        first, second = self.values[0], self.values[-1]
        if self.kind == "choice":
            return self.values[int(generator.integers(len(self.values)))]
        if self.kind == "normal":
            return float(generator.normal(first, second))
        if self.kind == "lognormal":
            return float(first * math.exp(generator.normal(0.0, math.log(second))))
        if self.whole:
            return int(generator.integers(int(first), int(second) + 1))
        return float(generator.uniform(first, second))

    def to_value(self) -> Any:
        """As a plan writes it."""
        if self.kind == "uniform" and self.values[0] == self.values[-1]:
            return self.values[0]
        if self.kind == "uniform" and self.clip == (-math.inf, math.inf):
            return list(self.values)
        clip = {} if math.isinf(self.clip[0]) else {"clip": list(self.clip)}
        return {self.kind: list(self.values), **clip}


def parse(
    value: Any, at: str, *, low: float, high: float, whole: bool = False, above: float = -math.inf
) -> Distribution:
    """A number, `[lowest, highest]`, or a mapping such as `{lognormal: [12, 1.5], clip: [4, 40]}`.

    Everything that it can give lies in [low, high]: a distribution without ends is clipped to them.

    Raises:
        ValueError: something else; opens with `at`.
    """

    def checked(entry: Any, where: str) -> float:
        if whole:
            return fields.integer(entry, where, low=int(low), high=int(high))
        return fields.number(entry, where, low=low, high=high, above=above)

    if isinstance(value, (list, tuple)):
        value = {"uniform": value}
    if not isinstance(value, Mapping):
        number = checked(value, at)
        return Distribution("uniform", (number, number), whole=whole)
    raw = fields.mapping(value, at, keys=(*KINDS, "clip"))
    kinds = [kind for kind in KINDS if kind in raw]
    if len(kinds) != 1:
        raise fields.refusal(at, f"one of {', '.join(KINDS)}", value)
    kind = kinds[0]
    given = raw[kind]
    if not isinstance(given, (list, tuple)) or not given or (kind != "choice" and len(given) != 2):
        wanted = "a list of numbers" if kind == "choice" else "two numbers"
        raise fields.refusal(f"{at}.{kind}", wanted, given)
    clip = _clip(raw.get("clip"), f"{at}.clip", low=low, high=high)
    if kind in ("uniform", "choice"):
        values = tuple(checked(entry, f"{at}.{kind}[{i}]") for i, entry in enumerate(given))
        if kind == "uniform" and values[0] > values[1]:
            raise fields.refusal(f"{at}.{kind}", "the smaller number first", given)
        return Distribution(kind, values, clip or (-math.inf, math.inf), whole)
    middle = checked(given[0], f"{at}.{kind}[0]")
    above_zero = {"above": 0.0} if kind == "normal" else {"low": 1.0}
    spread = fields.number(given[1], f"{at}.{kind}[1]", **above_zero)
    return Distribution(kind, (middle, spread), clip or (low, high), whole)


def _clip(value: Any, at: str, *, low: float, high: float) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise fields.refusal(at, "two numbers [lowest, highest]", value)
    first, second = (
        fields.number(entry, f"{at}[{i}]", low=low, high=high) for i, entry in enumerate(value)
    )
    if first >= second:
        raise fields.refusal(at, "the smaller number first", value)
    return first, second
