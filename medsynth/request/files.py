"""Requests on disk: read YAML or JSON, change single values (`--set`), write fully resolved."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from medsynth import limits
from medsynth.request.fields import is_image, refusal
from medsynth.request.model import Anatomy, Pathology, Request, Source
from medsynth.request.parse import parse
from medsynth.request.safe_text import read_json, read_yaml


def load_request(path: Path | str, *, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Request:
    """The request in the YAML or JSON file `path`; relative paths in it start at its folder.

    Args:
        path: the request's file.
        overrides: values that replace the file's, by key path: `{"anatomy.factor": 8}` or
            `["pathologies[0].source.procedural.kind=solid"]`. An index one past the end of a list
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
    if not path.is_file():
        raise ValueError(f"{path} is no file but a pipe or a device; save the request as a file")
    limits.REQUEST_BYTES.check(size := path.stat().st_size, path, f"{size:,} bytes of text")
    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8-sig")
        # YAML reads most JSON, but not tabs.
        raw = read_json(text) if kind == "JSON" else read_yaml(text)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file, expected a request in YAML or JSON") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid {kind}: {error}") from None
    if not isinstance(raw, dict):
        raise refusal(str(path), "keys such as `preset: lung_ct`", raw)
    return raw


def to_dict(request: Request) -> dict[str, Any]:
    """The keys of the request contract, every default filled in; `parse` gives the same back."""
    anatomy = request.anatomy
    phantom = anatomy.phantom and {"kind": anatomy.phantom.kind, **anatomy.phantom.options}
    record: dict[str, Any] = {
        "preset": request.preset,
        "anatomy": {
            "image": anatomy.image,
            "series_uid": anatomy.series_uid,
            "slice": anatomy.slice,
            "phantom": phantom,
            "pixel_mm": anatomy.pixel_mm,
            "view": anatomy.view,
            "laterality": anatomy.laterality,
            "burned_in_text": anatomy.burned_in_text or None,
            "defaced": anatomy.defaced or None,
            "labels": _labels_list(anatomy),
            "factor": anatomy.factor,
            "stop": anatomy.stop.to_value(),
        },
        "pathologies": [_pathology_dict(pathology) for pathology in request.pathologies],
        "output": {
            "patient": request.patient,
            "paths": request.paths,
            "write": request.write,
            "no_pixel_mark": request.no_pixel_mark,
        },
    }
    plain = ("extent", "background", "steps", "sampler", "composition", "filter", "guidance")
    for key in (
        *plain,
        "seed",
        "weights",
        "expert",
        "device",
        "generator",
        "margin_mm",
        "feather_mm",
        "noise",
        "surroundings",
    ):
        record[key] = getattr(request, key)
    record["conditions"] = [{"kind": c.kind, **c.options} for c in request.conditions] or None
    return _plain(record)


def with_files(request: Request) -> Request:
    """The same request by the files of its saved lesions instead of their names, for another computer."""
    pathologies = [
        dataclasses.replace(each, source=dataclasses.replace(each.source, saved=None))
        for each in request.pathologies
    ]
    return dataclasses.replace(request, pathologies=type(request.pathologies)(pathologies))


def write(request: Request, path: Path | str) -> None:
    """`request` as YAML, fully resolved; `load_request` reads the same back.

    With `output.paths: names` it does so from a folder in which the named files lie.
    """
    lines = yaml.safe_dump(
        shown_paths(request)(to_dict(request)), sort_keys=False, allow_unicode=True
    )
    Path(path).write_text(lines, encoding="utf-8")


def shown_paths(request: Request) -> Callable[[Any], Any]:
    """How the files of a result show what `request` names: as it is, or without the users' folders.

    What comes back takes anything made of mappings, lists and texts, and leaves the rest alone.
    """
    if request.paths == "full":
        return lambda value: value
    named = named_paths(request)
    parents = {str(path.parent) for path in named if path.parent != path.parent.parent}
    folders = sorted((parent + os.sep for parent in parents), key=len, reverse=True)

    def shorten(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: shorten(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [shorten(entry) for entry in value]
        if isinstance(value, str):
            for folder in folders:
                value = value.replace(folder, "")
        return value

    return shorten


def named_paths(request: Request) -> Iterator[Path]:
    """Every path that a request names."""
    anatomy = request.anatomy
    named = [anatomy.image, request.weights, request.expert]
    named += [*(each.file for each in anatomy.labels or ())]
    if anatomy.phantom is not None:
        named += anatomy.phantom.options.values()
    for pathology in request.pathologies:
        named += [pathology.roi, pathology.source.image, pathology.source.mask]
    for condition in request.conditions:
        named += condition.options.values()
    yield from (path for path in named if isinstance(path, Path))


def _labels_list(anatomy: Anatomy) -> list[dict[str, Any]] | None:
    if anatomy.labels is None:
        return None
    return [
        {
            "file": each.file,
            "names": {str(value): name for value, name in each.names.items()} or None,
            "codes": {str(value): code for value, code in each.codes.items()} or None,
        }
        for each in anatomy.labels
    ]


def _pathology_dict(pathology: Pathology) -> dict[str, Any]:
    return {
        "roi": pathology.roi,
        "center_mm": pathology.center_mm,
        "slice": pathology.slice,
        "pixel": pathology.pixel,
        "diameter_mm": pathology.diameter_mm,
        "source": _source_dict(pathology.source),
        "factor": pathology.factor,
        "stop": pathology.stop.to_value(),
        "weight": pathology.weight,
    }


def _source_dict(source: Source) -> dict[str, Any]:
    if source.procedural is not None:
        return {"procedural": source.procedural}
    files = ("image", "mask", "series_uid") if source.saved is None else ("saved",)
    keys = (*files, "rotate_deg", "scale", "mirror", "patch")
    return {key: getattr(source, key) for key in keys}


def _plain(value: Any) -> Any:
    """Only what YAML and JSON know; entries that are None are left out."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if is_image(value):
        size = value.GetSize() if hasattr(value, "GetSize") else value.shape[::-1]
        return f"(image in memory, {' x '.join(map(str, size))})"
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
            yield key.strip(), read_yaml(value)
        except ValueError as error:
            raise ValueError(f"--set {override[:80]}: not a value: {error}") from None


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
        raise refusal(f"--set {bracketed(key)}", f"keys or a list to hold {last!r}", place)


def bracketed(key: str) -> str:
    """A key path as messages write it: `pathologies[0].factor`; `pathologies.0.factor` is read too."""
    return re.sub(r"\.(\d+)(?=[.\[]|$)", r"[\1]", key)


def _descend(place: Any, step: str, key: str) -> Any:
    if isinstance(place, list):
        index = _index(place, step, key)
        if index == len(place):
            place.append({})
        return place[index]
    if not isinstance(place, dict):
        raise refusal(f"--set {bracketed(key)}", f"keys or a list to hold {step!r}", place)
    if place.get(step) is None:
        place[step] = [] if step == "pathologies" else {}
    return place[step]


def _index(items: list[Any], step: str, key: str) -> int:
    if not step.isdigit() or int(step) > len(items):
        raise ValueError(
            f"--set {bracketed(key)}: {step!r} is no place in a list of {len(items)}, expected 0 to {len(items)}"
        )
    return int(step)
