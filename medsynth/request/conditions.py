"""The `conditions` part of a request: what a slice shall fulfil besides its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medsynth.domains.methods import CONDITIONS
from medsynth.request import fields
from medsynth.request.model import NamedCondition


def parse_conditions(value: Any, at: str = "conditions") -> tuple[NamedCondition, ...]:
    """A list of kinds, each a word or a mapping `{kind: histogram, strength: 0.5}`."""
    if not isinstance(value, (list, tuple)):
        raise fields.refusal(at, "a list such as [histogram]", value)
    found: list[NamedCondition] = []
    for index, entry in enumerate(value):
        condition = _condition(entry, f"{at}[{index}]")
        if condition.kind in (earlier.kind for earlier in found):
            raise ValueError(f"{at}[{index}]: {condition.kind} is named twice; remove one")
        found.append(condition)
    return tuple(found)


def _condition(value: Any, at: str) -> NamedCondition:
    named = value if isinstance(value, Mapping) else {"kind": value}
    kind = fields.required(named, "kind", at, example=f"kind: {next(iter(CONDITIONS))}")
    kind = fields.one_of(kind, f"{at}.kind", choices=CONDITIONS)
    options = CONDITIONS[kind].facts.get("options", {})
    raw = fields.mapping(named, at, keys=("kind", *options))
    return NamedCondition(
        kind,
        {
            key: fields.within(
                raw.get(key, default),
                f"{at}.{key}",
                allowed=allowed,
                whole=all(isinstance(number, int) for number in (*allowed, default)),
            )
            for key, (allowed, default, _) in options.items()
        },
    )
