"""Words for what is on an image, from its row of a table and its boxes.

Positions are nine fields of the image, and sides are the patient's, as radiologists say them: in a
frontal radiograph and in axial slices the patient's left is the image's right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from medsynth.datasets.entries import Box, DataEntry
from medsynth.domains import Preset

ROWS = ("upper", "middle", "lower")
COLUMNS = ("right", "central", "left")  # from the image's left to its right
POSITIONS = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)
VIEW = re.compile(r"\bview (AP|PA|LL|LATERAL)\b", re.IGNORECASE)


def word_of(label: str) -> str:
    """A label of a table as a word of a prompt: `Pleural_Thickening` is "pleural thickening"."""
    return " ".join(label.replace("_", " ").split()).casefold()


def domain_word(preset: Preset) -> str:
    """What images of a domain are called in a prompt: "chest x-ray"."""
    return preset.title.casefold()


def field_of(x: float, y: float, *, size: tuple[int, int]) -> str:
    """The position word of a point; `size` is (columns, rows) of the image."""
    columns, rows = size
    column = min(2, max(0, int(3 * x / columns)))
    row = min(2, max(0, int(3 * y / rows)))
    return f"{ROWS[row]} {COLUMNS[column]}"


def field_box(position: str, *, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The field of a position word as x0, y0, x1, y1 in pixels.

    Raises:
        ValueError: not one of `POSITIONS`.
    """
    if position not in POSITIONS:
        raise ValueError(f"position {position!r}: expected one of {', '.join(POSITIONS)}")
    row, column = position.split()
    r, c = ROWS.index(row), COLUMNS.index(column)
    columns, rows = size
    x0, x1 = round(c * columns / 3), round((c + 1) * columns / 3)
    return x0, round(r * rows / 3), x1, round((r + 1) * rows / 3)


def positions_of(boxes: Iterable[Box], *, size: tuple[int, int]) -> tuple[str, ...]:
    """The position word of the center of each box, each once."""
    found = (field_of((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2, size=size) for b in boxes)
    return tuple(dict.fromkeys(found))


def words_of(entry: DataEntry, preset: Preset) -> tuple[str, ...]:
    """Domain, view, findings and positions of an image, each once."""
    said = [domain_word(preset)]
    view = entry.view or next(
        (m.group(1) for v in entry.details.values() if (m := VIEW.search(str(v)))), ""
    )
    if view:
        said.append(f"{view.casefold()} view")
    said += [word_of(label) for label in entry.labels]
    if entry.boxes and entry.size:
        said += positions_of(entry.boxes, size=entry.size)
    return tuple(dict.fromkeys(said))


def caption_of(entry: DataEntry, preset: Preset) -> str:
    """The words as a prompt: "chest x-ray, ap view, pneumonia, lower left"."""
    return ", ".join(words_of(entry, preset))


def split_prompt(prompt: str) -> tuple[str, ...]:
    """A prompt's parts between commas, as `words_of` writes them."""
    return tuple(dict.fromkeys(filter(None, (word_of(part) for part in prompt.split(",")))))
