"""YAML and JSON text to plain values, within `medsynth.limits`: no bomb, no endless nesting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from medsynth import limits

# Longer numbers, dates and the like take quadratic time to read, and mean nothing here.
LONGEST_NUMBER = 100


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as people mean it: 1e-3 is a number, `no` a word, a key written twice an error."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._entries = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Counts levels and entries, those that an alias stands for included."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            anchor = event.anchor or ""
            if anchor in self.anchors and anchor not in self._sizes:
                raise yaml.YAMLError(f"alias *{anchor} inside itself{_line(event)}")
            self._count(self._sizes.get(anchor, 1), event)
            return super().compose_node(parent, index)
        self._depth += 1
        if self._depth > limits.DEPTH.value:
            raise yaml.YAMLError(f"nested too deep{_line(event)}, {limits.DEPTH.refusal()}")
        before = self._entries
        self._count(1, event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor:
            self._sizes[event.anchor] = self._entries - before
        return node

    def _count(self, entries: int, event: yaml.Event) -> None:
        self._entries += entries
        if self._entries > limits.REQUEST_ENTRIES.value:
            raise yaml.YAMLError(f"too much{_line(event)}, {limits.REQUEST_ENTRIES.refusal()}")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Refuses numbers of very many digits before they are read."""
        number = isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:str"
        if number and len(node.value) > LONGEST_NUMBER:
            kind = node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"{kind} of {len(node.value)} characters{_line(node)}")
        return super().construct_object(node, deep=deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.YAMLError(f"expected keys and values{_line(node)}")
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise yaml.YAMLError(f"a key must be a word{_line(key_node)}")
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.YAMLError(f"key {key[:60]!r} twice{_line(key_node)}")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _line(where: yaml.Event | yaml.Node) -> str:
    return f", line {where.start_mark.line + 1}" if where.start_mark else ""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(true|false)$", re.IGNORECASE), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(text: str) -> Any:
    """The values in `text`.

    Raises:
        ValueError: not YAML, or more than `medsynth.limits` allows.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(_one_line(error)) from None
    except (RecursionError, TypeError, KeyError, AttributeError, OverflowError) as error:
        # what PyYAML lets through of tags that do not fit their values, such as `!!int x: 1`
        raise ValueError(f"a value that cannot be read ({_one_line(error)})") from None


def read_json(text: str) -> Any:
    """The values in `text`.

    Raises:
        ValueError: not JSON, or more than `medsynth.limits` allows.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(f"nested too deep, {limits.DEPTH.refusal()}") from None
    _check_size(value)
    return value


def _check_size(value: Any) -> None:
    level: list[Any] = [value]
    entries = depth = 0
    while level:
        depth, entries = depth + 1, entries + len(level)
        if entries > limits.REQUEST_ENTRIES.value:
            raise ValueError(f"too much, {limits.REQUEST_ENTRIES.refusal()}")
        holders = [item for item in level if isinstance(item, (dict, list))]
        if holders and depth > limits.DEPTH.value:
            raise ValueError(f"nested too deep, {limits.DEPTH.refusal()}")
        level = [inner for holder in holders for inner in _inside(holder)]


def _inside(holder: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return holder.values() if isinstance(holder, dict) else holder


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no key may be written twice."""
    found: dict[str, Any] = {}
    for key, value in items:
        if key in found:
            raise ValueError(f"key {key[:60]!r} twice")
        found[key] = value
    return found


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem}, line {mark.line + 1}" if mark else " ".join(problem.split())
