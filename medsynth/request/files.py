"""Requests on disk: read YAML or JSON, change single values (`--set`), write fully resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from medsynth.request.fields import refusal
from medsynth.request.model import Pathology, Request, Source
from medsynth.request.parse import parse


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as people mean it: 1e-3 is a number, `no` a word, a key written twice an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key, str):
                problem = f"a key must be a word, line {key_node.start_mark.line + 1}"
                raise yaml.YAMLError(problem)
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.YAMLError(f"key {key!r} twice, line {key_node.start_mark.line + 1}")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


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


def load_request(path: Path | str, *, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Request:
    """The request in the YAML or JSON file `path`; relative paths in it start at its folder.

    Args:
        path: the request's file.
        overrides: values that replace the file's, by key path: `{"anatomy.factor": 8}` or
            `["pathologies.0.source.procedural.kind=solid"]`. An index one past the end of a list
            appends; null removes a key.

    Raises:
        ValueError: not YAML, not a mapping, or what `parse` says.
        FileNotFoundError, IsADirectoryError, PermissionError: the file, or a path in it, is not there
            or cannot be read.
    """
    path = Path(path)
    raw = read_mapping(path)
    for key, value in pairs(overrides):
        _assign(raw, key, value)
    return parse(raw, path.absolute().parent)


def read_mapping(path: Path | str) -> dict[str, Any]:
    """The keys and values in a YAML or JSON file."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a request file (YAML or JSON)")
    if not path.exists():
        raise FileNotFoundError(f"no such request file: {path.absolute()}")
    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8-sig")
        # YAML reads most JSON, but not tabs.
        raw = json.loads(text, object_pairs_hook=_once) if kind == "JSON" else _yaml(text)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file, expected a request in YAML or JSON") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: not valid {kind}: {_one_line(error)}") from None
    if not isinstance(raw, dict):
        raise refusal(str(path), "keys such as `preset: lung_ct`", raw)
    return raw


def to_dict(request: Request) -> dict[str, Any]:
    """The keys of the request contract, every default filled in; `parse` gives the same back."""
    anatomy = request.anatomy
    phantom = anatomy.phantom and {"kind": anatomy.phantom.kind, **anatomy.phantom.options}
    record = {
        "preset": request.preset,
        "anatomy": {
            "image": anatomy.image,
            "series_uid": anatomy.series_uid,
            "phantom": phantom,
            "pixel_mm": anatomy.pixel_mm,
            "view": anatomy.view,
            "laterality": anatomy.laterality,
            "factor": anatomy.factor,
            "stop": anatomy.stop.to_value(),
        },
        "pathologies": [_pathology_dict(pathology) for pathology in request.pathologies],
        "output": {"patient": request.patient},
    }
    plain = ("extent", "background", "steps", "sampler", "composition", "filter", "guidance")
    for key in (*plain, "seed", "weights", "device", "margin_mm", "feather_mm"):
        record[key] = getattr(request, key)
    return _plain(record)


def write(request: Request, path: Path | str) -> None:
    """`request` as YAML, fully resolved; `load_request` reads the same back."""
    lines = yaml.safe_dump(to_dict(request), sort_keys=False, allow_unicode=True)
    Path(path).write_text(lines, encoding="utf-8")


def _pathology_dict(pathology: Pathology) -> dict[str, Any]:
    return {
        "roi": pathology.roi,
        "center_mm": pathology.center_mm,
        "diameter_mm": pathology.diameter_mm,
        "source": _source_dict(pathology.source),
        "factor": pathology.factor,
        "stop": pathology.stop.to_value(),
        "weight": pathology.weight,
    }


def _source_dict(source: Source) -> dict[str, Any]:
    if source.procedural is not None:
        return {"procedural": source.procedural}
    keys = ("image", "mask", "series_uid", "rotate_deg", "scale", "mirror", "patch")
    return {key: getattr(source, key) for key in keys}


def _plain(value: Any) -> Any:
    """Only what YAML and JSON know; entries that are None are left out."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def pairs(overrides: Mapping[str, Any] | Iterable[str]) -> Iterable[tuple[str, Any]]:
    """Key paths and values of `key=value` lines; a value is read as YAML."""
    if isinstance(overrides, Mapping):
        yield from overrides.items()
        return
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--set {override}: expected key=value, such as anatomy.factor=8")
        try:
            yield key.strip(), _yaml(value)
        except (yaml.YAMLError, ValueError) as error:
            raise ValueError(f"--set {override}: not a value: {_one_line(error)}") from None


def _assign(raw: dict[str, Any], key: str, value: Any) -> None:
    """Put `value` at the key path `key`; mappings on the way are made, list items must be there."""
    *parents, last = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    place: Any = raw
    for step in parents:
        place = _descend(place, step, key)
    if isinstance(place, list):
        index = _index(place, last, key)
        place[index : index + 1] = [value]
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise refusal(f"--set {key}", f"keys or a list to hold {last!r}", place)


def _descend(place: Any, step: str, key: str) -> Any:
    if isinstance(place, list):
        index = _index(place, step, key)
        if index == len(place):
            place.append({})
        return place[index]
    if not isinstance(place, dict):
        raise refusal(f"--set {key}", f"keys or a list to hold {step!r}", place)
    if place.get(step) is None:
        place[step] = [] if step == "pathologies" else {}
    return place[step]


def _index(items: list[Any], step: str, key: str) -> int:
    if not step.isdigit() or int(step) > len(items):
        raise ValueError(
            f"--set {key}: {step!r} is no place in a list of {len(items)}, expected 0 to {len(items)}"
        )
    return int(step)


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no key may be written twice."""
    keys = [key for key, _ in items]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ValueError(f"key {twice[0]!r} twice")
    return dict(items)


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem}, line {mark.line + 1}" if mark else " ".join(problem.split())
