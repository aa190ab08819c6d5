"""The text of a control point file to plain values, within `medsynth.limits`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from medsynth import limits

# Loading 10,000 numbers in pure Python takes seconds; the C loader is optional in PyYAML.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_content(path: Path, *, file_format: str, version: int, kind: str) -> dict[str, Any]:
    """The keys and values of the control point file `path`.

    Args:
        path: YAML, or JSON where it ends in .json.
        file_format: what its key `format` must say.
        version: what its key `version` must say.
        kind: what such a file holds, for messages.

    Raises:
        ValueError: neither YAML nor JSON, more than the limits allow, or of another format.
    """
    if not path.is_file() and path.exists():
        raise ValueError(f"{path} is no file; save the control points as a file")
    limits.CONTROL_POINT_BYTES.check(size := path.stat().st_size, path, f"{size:,} bytes of text")
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = _json(text) if path.suffix.lower() == ".json" else _yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is not a control point file: {why}") from None
    if not isinstance(content, dict) or content.get("format") != file_format:
        raise ValueError(f"{path} is not a control point file of {kind} (format {file_format!r})")
    if content.get("version") != version:
        raise ValueError(f"{path} has version {content.get('version')}, expected {version}")
    return content


def _yaml(text: str) -> Any:
    """Counted as a stream of events first: an alias can stand for all that its anchor holds."""
    sizes: dict[str, int] = {}
    open_anchors: list[tuple[str | None, int]] = []
    entries = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            entries += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            entries += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append((event.anchor, entries))
            entries += 1
            _check_depth(len(open_anchors))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = entries - before
        _check_entries(entries)
    return yaml.load(text, Loader=_LOADER)


def _json(text: str) -> Any:
    value = json.loads(text)
    level: list[Any] = [value]
    entries = depth = 0
    while level:
        depth, entries = depth + 1, entries + len(level)
        _check_entries(entries)
        holders = [item for item in level if isinstance(item, (dict, list))]
        _check_depth(depth if holders else 0)
        level = [
            inner
            for holder in holders
            for inner in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return value


def _check_entries(entries: int) -> None:
    if entries > limits.CONTROL_POINT_ENTRIES.value:
        raise ValueError(f"too much, {limits.CONTROL_POINT_ENTRIES.refusal()}")


def _check_depth(depth: int) -> None:
    if depth > limits.DEPTH.value:
        raise ValueError(f"nested too deep, {limits.DEPTH.refusal()}")
