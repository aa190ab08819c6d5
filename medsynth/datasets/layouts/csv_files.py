"""CSV tables and listed files, as the layouts share them."""

from __future__ import annotations

import csv
from pathlib import Path

LATERALITY = {"l": "L", "left": "L", "r": "R", "right": "R"}


def rows_of(path: Path, *, needed: tuple[str, ...], delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV file by column name; all values are text without outer white space.

    Raises:
        ValueError: a `needed` column is missing, or there is no row.
    """
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        lines = list(csv.reader(file, delimiter=delimiter, skipinitialspace=True))
    return named_rows(lines, needed=needed, path=path)


def named_rows(
    lines: list[list[str]], *, needed: tuple[str, ...], path: Path
) -> list[dict[str, str]]:
    """`lines` by the names in the first of them; empty lines are passed over."""
    columns = [" ".join(name.split()) for name in lines[0]] if lines else []
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has "
            f"{', '.join(filter(None, columns)) or 'none'}"
        )
    filled = [[word.strip() for word in line] for line in lines[1:]]
    rows = [
        dict(zip(columns, line + [""] * (len(columns) - len(line)), strict=False))
        for line in filled
        if any(line)
    ]
    if not rows:
        raise ValueError(f"{path} has a header but no row")
    return rows


def expect(root: Path, name: str, *, layout: str, more: str = "") -> Path:
    """root/name, which `layout` must have.

    Raises:
        ValueError: it is not there; the message says what the layout looks like and what is there.
    """
    path = root / name
    if not path.exists():
        also = f" beside {more}" if more else ""
        raise ValueError(
            f"layout {layout!r} expects {name}{also} in {root}, which holds {held(root)}; "
            "set data.layout for another layout"
        )
    return path


def held(root: Path) -> str:
    """What a folder holds, in a few words for an error message."""
    names = sorted(p.name + "/" * p.is_dir() for p in root.iterdir())
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) + more) if names else "nothing"


def flag(text: str) -> bool:
    """1, True and yes; anything else is no."""
    return text.strip().casefold() in ("1", "1.0", "true", "yes")


def side(text: str) -> str:
    """L or R of LEFT, right, l ...; "" where it says neither."""
    return LATERALITY.get(text.strip().casefold(), "")
