"""Checks of single values of a request; each returns the checked value or says what was expected.

`at` is the value's key path, such as `pathologies[0].source`, and opens every message.
"""

from __future__ import annotations

import difflib
import math
import reprlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LONGEST_PATH = 4000


def refusal(at: str, expected: str, value: Any) -> ValueError:
    """The error that says what was expected at `at`, and what is there instead."""
    return ValueError(f"{at}: expected {expected}, got {shown(value)}")


def nearest(word: object, words: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the nearest of `words`, or nothing."""
    words = list(words)
    lower = {known.lower(): known for known in words}
    near = difflib.get_close_matches(str(word)[:60].lower(), lower, n=1, cutoff=0.55)
    return f", did you mean {lower[near[0]]!r}?" if near else ""


def join(at: str, key: str) -> str:
    """The path of `key` below `at`."""
    return f"{at}.{key}" if at else key


def mapping(value: Any, at: str, *, keys: Iterable[str]) -> dict[str, Any]:
    """A mapping with no other key than `keys`; entries that are null count as absent."""
    if not isinstance(value, Mapping):
        raise refusal(at or "request", "a mapping of keys", value)
    keys = tuple(keys)
    for key in value:
        if key not in keys:
            hint = nearest(key, keys) or f"; known keys: {', '.join(keys)}"
            raise ValueError(f"{join(at, str(key)[:60])}: unknown key{hint}")
    return {key: entry for key, entry in value.items() if entry is not None}


def required(raw: Mapping[str, Any], key: str, at: str, *, example: str) -> Any:
    """The entry `key`, which must be there."""
    if key not in raw:
        raise ValueError(f"{join(at, key)}: missing; write for example {example}")
    return raw[key]


def exclusive(
    raw: Mapping[str, Any], at: str, *, first: Iterable[str], second: Iterable[str]
) -> str:
    """Which of two groups of keys is used; all of one group and none of the other.

    Returns:
        The first key of the group that is there.
    """
    first, second = tuple(first), tuple(second)
    names = " + ".join(first), " + ".join(second)
    found = [[key for key in group if key in raw] for group in (first, second)]
    if all(found):
        raise ValueError(
            f"{at}: {names[0]} and {names[1]} exclude each other, "
            f"got {' and '.join(found[0] + found[1])}; keep one of the two"
        )
    if not any(found):
        raise ValueError(f"{at}: expected {names[0]} or {names[1]}, got neither")
    for group, there in zip((first, second), found, strict=True):
        missing = [key for key in group if key not in raw]
        if there and missing:
            raise ValueError(f"{at}: {there[0]} needs {' and '.join(missing)} beside it")
    return (found[0] or found[1])[0]


def one_of(value: Any, at: str, *, choices: Iterable[str]) -> str:
    """One of the words `choices`."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(
            f"{at}: expected one of {', '.join(choices)}, got {shown(value)}"
            f"{nearest(value, choices) if isinstance(value, str) else ''}"
        )
    return value


def several_of(value: Any, at: str, *, choices: Iterable[str]) -> tuple[str, ...]:
    """At least one of the words `choices`, each once, as a list; one word alone is a list of it."""
    choices = tuple(choices)
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not words:
        raise refusal(at, f"a list with some of {', '.join(choices)}", value)
    for index, word in enumerate(words):
        one_of(word, at if isinstance(value, str) else f"{at}[{index}]", choices=choices)
        if word in words[:index]:
            raise ValueError(f"{at}[{index}]: {word} is named twice; remove one")
    return tuple(words)


def integer(value: Any, at: str, *, low: int, high: int | None = None) -> int:
    """A whole number from `low` to `high`."""
    limits = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal(at, limits, value)
    if value < low or (high is not None and value > high):
        raise refusal(at, limits, value)
    return value


def number(
    value: Any, at: str, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> float:
    """A finite number in [low, high] and greater than `above`."""
    bounds = [f">= {low:g}"] * (low > -math.inf) + [f"> {above:g}"] * (above > -math.inf)
    bounds += [f"<= {high:g}"] * (high < math.inf)
    limits = " ".join(["a finite number", " and ".join(bounds)]).strip()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refusal(at, limits, value)
    # Compared before it becomes a float: an integer may be too large for one.
    if not (low <= value <= high and above < value and abs(value) <= sys.float_info.max):
        raise refusal(at, limits, value)
    return float(value)


def within(value: Any, at: str, *, allowed: tuple[Any, ...], whole: bool = False) -> Any:
    """What `allowed` says: one of its words, or a number from its lowest to its highest."""
    if isinstance(allowed[0], str):
        return one_of(value, at, choices=allowed)
    low, high = allowed
    if whole:
        return integer(value, at, low=low, high=high)
    return number(value, at, low=low, high=high)


def flag(value: Any, at: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise refusal(at, "true or false", value)
    return value


def text(value: Any, at: str) -> str:
    """A word or a line that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise refusal(at, "a text", value)
    return value


def triple(
    value: Any, at: str, *, low: float = -math.inf, high: float = math.inf
) -> tuple[float, float, float]:
    """Three finite numbers in [low, high]."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise refusal(at, "three numbers [x, y, z]", value)
    first, second, third = (
        number(v, f"{at}[{i}]", low=low, high=high) for i, v in enumerate(value)
    )
    return first, second, third


def plain(value: Any) -> Any:
    """`value` with NumPy scalars and short arrays as Python's numbers and lists; images stay."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    few_axes = getattr(value, "ndim", 2) < 2 and hasattr(value, "tolist")
    return value.tolist() if few_axes else value


def is_image(value: Any) -> bool:
    """Whether `value` is an image in memory: SimpleITK's, or an array (j, i) or (k, j, i)."""
    return hasattr(value, "GetSpacing") or getattr(value, "ndim", 0) in (2, 3)


def existing_path(value: Any, at: str, *, base: Path) -> Path:
    """An absolute path to something that exists; a relative one starts at `base`.

    An image in memory, in place of its file, stays as it is.

    Raises:
        FileNotFoundError: nothing is there.
    """
    if is_image(value):
        return value
    written = Path(text(str(value) if isinstance(value, Path) else value, at)).expanduser()
    path = (base / written).absolute()
    if len(str(path)) > LONGEST_PATH:
        raise refusal(at, f"a path of at most {LONGEST_PATH} characters", value)
    if not path.exists():
        where = "" if written.is_absolute() else f" (relative paths start at {base.absolute()})"
        raise FileNotFoundError(f"{at}: no such file or folder: {path}{where}")
    return path


def shown(value: Any) -> str:
    """`value` as a message shows it: short, with the name of its type where that tells more."""
    if value is None:
        return "nothing"
    if is_image(value):
        return f"an image ({type(value).__name__})"
    words = _SHORT.repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."


class _Short(reprlib.Repr):
    """Bounded: what is shown of a value takes no longer, and no more memory, than it is worth."""

    maxlevel, maxdict, maxlist, maxtuple, maxset = 6, 60, 60, 60, 60
    maxstring = maxother = 200

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out integers of more than 4300 digits
        return repr(x) if x.bit_length() < 200 else f"a number of {x.bit_length()} bits"


_SHORT = _Short()
