"""A CSV file with one row per image: `file`, `patient` and, if known, what is on it.

Further columns: label (several with `|`), mask_file, boxes (`label:x0,y0,x1,y1`, several with `;`),
size (columns x rows), pixel_spacing_mm, split, view, laterality. Any other column is kept as text.
"""

from __future__ import annotations

from pathlib import Path

from medsynth.datasets.entries import HELD_OUT, TRAINING, Box, DataEntry
from medsynth.datasets.layouts.csv_files import rows_of
from medsynth.datasets.settings import Data

DEFAULT = "SOURCES.csv"
PARTS = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(("test", "val", "valid", "validation", "held_out", "held-out"), HELD_OUT),
    "": "",
}
KNOWN = ("file", "patient", "label", "mask_file", "boxes", "size", "pixel_spacing_mm", "split")


def read_table(root: Path, data: Data) -> list[DataEntry]:
    """The rows of `data.table`, or of `SOURCES.csv`, or of the only CSV file in `root`.

    Paths in it are relative to `root` or to the folder that holds `root`.
    """
    path = _find(root, data.table)
    entries = [
        _entry(row, root=root, where=f"{path}, line {line}")
        for line, row in enumerate(rows_of(path, needed=("file", "patient")), start=2)
    ]
    lost = [e for e in entries if not e.path.is_file()]
    if lost:
        raise ValueError(
            f"{path} names {len(lost)} files that are not there, such as {lost[0].name}; paths are "
            f"relative to {root} or to {root.parent}"
        )
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1}) if _repeat(names) else []
    if twice:
        raise ValueError(f"{path} names {twice[0]} more than once; keep one row per file")
    return entries


def _find(root: Path, name: str) -> Path:
    if name:
        if not (root / name).is_file():
            raise ValueError(f"data.table: {root / name} is not there")
        return root / name
    if (root / DEFAULT).is_file():
        return root / DEFAULT
    tables = sorted(root.glob("*.csv"))
    if len(tables) == 1:
        return tables[0]
    found = f"{len(tables)} CSV files ({tables[0].name}, ...)" if tables else "no CSV file"
    raise ValueError(
        f"layout 'table' expects {DEFAULT} (columns file, patient) in {root}, which holds {found}; "
        "name it in data.table"
    )


def _entry(row: dict[str, str], *, root: Path, where: str) -> DataEntry:
    if not row["file"]:
        raise ValueError(f"{where}: no file")
    path = root / row["file"]
    if not path.is_file() and (root.parent / row["file"]).is_file():
        path = root.parent / row["file"]
    name = path.relative_to(root) if path.is_relative_to(root) else Path(row["file"])
    known = bool(row["patient"]) and not row["patient"].casefold().startswith("unknown")
    part = row.get("split", "").casefold()
    if part not in PARTS:
        raise ValueError(
            f"{where}: split is {row['split']!r}, expected {', '.join(filter(None, PARTS))}"
        )
    masks = (m.strip() for m in row.get("mask_file", "").split(";"))
    return DataEntry(
        path=path,
        patient=row["patient"] if known else path.stem,
        name=name.as_posix(),
        part=PARTS[part],
        patient_known=known,
        labels=tuple(filter(None, (w.strip() for w in row.get("label", "").split("|")))),
        boxes=parse_boxes(row.get("boxes", ""), where=where),
        masks=tuple(root / m if (root / m).is_file() else root.parent / m for m in masks if m),
        view=row.get("view", "").upper(),
        laterality=row.get("laterality", "").upper(),
        pixel_mm=parse_pixel_mm(row.get("pixel_spacing_mm", ""), where=where),
        size=_size(row.get("size", ""), where=where),
        details={k: v for k, v in row.items() if k not in KNOWN and v},
    )


def parse_boxes(text: str, *, where: str) -> tuple[Box, ...]:
    """`label:x0,y0,x1,y1;...`, the label may be missing."""
    boxes = []
    for word in filter(None, (w.strip() for w in text.split(";"))):
        label, _, numbers = word.rpartition(":")
        try:
            x0, y0, x1, y1 = (float(number) for number in numbers.split(","))
        except ValueError:
            raise ValueError(f"{where}: box {word!r} is not label:x0,y0,x1,y1") from None
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"{where}: box {word!r} is empty; expected x0 < x1 and y0 < y1")
        boxes.append(Box(x0, y0, x1, y1, label.strip()))
    return tuple(boxes)


def parse_pixel_mm(text: str, *, where: str) -> float | None:
    """One number, or two equal ones; None where the column is empty."""
    words = text.replace("\\", " ").replace("x", " ").replace(",", " ").split()
    try:
        sizes = {float(word) for word in words}
    except ValueError:
        sizes = {0.0}
    if len(sizes) > 1 or any(not 0 < size < 100 for size in sizes):
        raise ValueError(f"{where}: pixel_spacing_mm {text!r} is not the size of a square pixel")
    return sizes.pop() if sizes else None


def _size(text: str, *, where: str) -> tuple[int, int] | None:
    if not text:
        return None
    try:
        columns, rows = (int(word) for word in text.lower().split("x"))
    except ValueError:
        raise ValueError(f"{where}: size {text!r} is not COLUMNSxROWS") from None
    return columns, rows


def _repeat(names: list[str]) -> bool:
    return len(set(names)) < len(names)
