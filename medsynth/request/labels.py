"""The `anatomy.labels` part of a request: files of labels that the reference already has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medsynth.request import fields
from medsynth.request.model import Labels

KEYS = ("file", "names", "codes")
MOST_FILES = 64
LONGEST_NAME = 64  # of a segment's label, PS3.3 C.8.20.4
CODE = "three texts [value, scheme, meaning], such as [27925004, SCT, Nodule]"


def parse_labels(value: Any, at: str, *, base: Path) -> tuple[Labels, ...] | None:
    """None where nothing is said; a path, a mapping with `file`, or a list of these."""
    if value is None:
        return None
    if fields.is_image(value):
        return (Labels(value),)
    if not isinstance(value, (list, tuple)):
        return (_labels(value, at, base=base),)
    if len(value) > MOST_FILES:
        raise fields.refusal(at, f"at most {MOST_FILES} files", len(value))
    return tuple(_labels(entry, f"{at}[{i}]", base=base) for i, entry in enumerate(value))


def _labels(value: Any, at: str, *, base: Path) -> Labels:
    if not isinstance(value, Mapping):
        return Labels(fields.existing_path(value, at, base=base))
    raw = fields.mapping(value, at, keys=KEYS)
    file = fields.required(raw, "file", at, example="file: labels.nrrd")
    return Labels(
        fields.existing_path(file, f"{at}.file", base=base),
        names=_by_value(raw.get("names", {}), f"{at}.names", check=_name),
        codes=_by_value(raw.get("codes", {}), f"{at}.codes", check=_code),
    )


def _by_value(value: Any, at: str, *, check: Callable[[Any, str], Any]) -> dict[int, Any]:
    """A mapping whose keys are values of the label map."""
    if not isinstance(value, Mapping):
        raise fields.refusal(at, "a mapping such as {1: nodule}", value)
    checked = {}
    for key, entry in value.items():
        number = int(key) if str(key).isascii() and str(key).isdigit() else None
        if not number:
            raise fields.refusal(at, "whole numbers from 1 as keys", key)
        checked[number] = check(entry, f"{at}.{number}")
    return checked


def _name(value: Any, at: str) -> str:
    name = " ".join(fields.text(value, at).split())
    if len(name) > LONGEST_NAME:
        raise fields.refusal(at, f"at most {LONGEST_NAME} characters", value)
    return name


def _code(value: Any, at: str) -> tuple[str, str, str]:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise fields.refusal(at, CODE, value)
    code, scheme, meaning = (str(word).strip() for word in value)
    for word, longest in ((code, 16), (scheme, 16), (meaning, 64)):
        if not word or len(word) > longest:
            raise fields.refusal(at, CODE, value)
    return code, scheme, meaning
