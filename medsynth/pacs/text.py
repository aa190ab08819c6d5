"""What comes from a PACS, as text that can be shown and as UIDs that can be used."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from pydicom import Dataset

from medsynth.events import printable

# PS3.5 9.1: components of digits without leading zeros.
UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
LONGEST = 200


def is_uid(text: str) -> bool:
    """Whether `text` is a UID by PS3.5 9.1: nothing else is asked for, named a file or a URL."""
    return len(text) <= 64 and UID.fullmatch(text) is not None


def plain(text: object) -> str:
    """One short line: line breaks and runs of blanks are one blank, control characters are spelled."""
    return printable(" ".join(str(text).split()), keep="")[:LONGEST]


def value_of(dataset: Dataset, keyword: str) -> str:
    """A value as the server gave it, on one line; empty when it is not there or cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes what it does not like as it came
            value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom decodes on access, and a server may send anything
        return ""
    return "" if value is None else plain(value)


def uid_of(dataset: Dataset, keyword: str) -> str:
    """A UID; empty when there is none."""
    text = value_of(dataset, keyword)
    return text if is_uid(text) else ""


def items_of(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none when it is not there or is no sequence."""
    try:
        items = list(dataset.get(keyword) or [])
    except Exception:  # noqa: BLE001 - see value_of
        return
    yield from (item for item in items if isinstance(item, Dataset))
