"""NIH ChestX-ray14: Data_Entry_2017.csv, BBox_List_2017.csv and images_001/images ... images_012/images."""

from __future__ import annotations

from pathlib import Path

from medsynth.datasets.entries import HELD_OUT, TRAINING, Box, DataEntry
from medsynth.datasets.layouts.csv_files import held, rows_of
from medsynth.datasets.settings import Data
from medsynth.datasets.splits import key

TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
BOXES = "BBox_List_2017.csv"
NEEDED = ("Image Index", "Finding Labels", "Patient ID", "View Position")
PARTS = {"train_val_list.txt": TRAINING, "test_list.txt": HELD_OUT}
# The box table's word for what the other table calls Infiltration.
OTHER_WORDS = {"Infiltrate": "Infiltration"}


def read_chestxray14(root: Path, data: Data) -> list[DataEntry]:
    """The images that are there, of the rows of the table; the official split where its lists are.

    Not everyone has all twelve archives, so rows without an image are passed over, but not all.
    """
    table = next((root / name for name in TABLES if (root / name).is_file()), None)
    images = {p.name: p for p in sorted(root.rglob("*.png"))}
    rows = rows_of(table, needed=NEEDED) if table else []
    rows = [row for row in rows if row["Image Index"] in images]
    if not rows:
        raise ValueError(
            f"layout 'chestxray14' expects {TABLES[0]} and its images (00000001_000.png) in "
            f"images_001/images ... below {root}, which holds {held(root)}"
        )
    boxes, parts = _boxes(root / BOXES), _parts(root)
    return [
        _entry(row, images[row["Image Index"]], root=root, boxes=boxes, parts=parts) for row in rows
    ]


def _entry(
    row: dict[str, str],
    path: Path,
    *,
    root: Path,
    boxes: dict[str, list[Box]],
    parts: dict[str, str],
) -> DataEntry:
    prefix = path.name.partition("_")[0]
    if key(prefix) != key(row["Patient ID"]):
        raise ValueError(
            f"{path.name} begins with patient {prefix}, its row says {row['Patient ID']}; mend the row"
        )
    return DataEntry(
        path=path,
        patient=prefix,
        name=path.relative_to(root).as_posix(),
        part=parts.get(path.name, ""),
        labels=tuple(filter(None, (w.strip() for w in row["Finding Labels"].split("|")))),
        boxes=tuple(boxes.get(path.name, ())),
        view=row["View Position"].upper(),
        details={
            name: row[column]
            for name, column in (("age", "Patient Age"), ("sex", "Patient Gender"))
            if row.get(column)
        },
    )


def _boxes(path: Path) -> dict[str, list[Box]]:
    """Boxes by image; the header's `Bbox [x,y,w,h]` is four columns to a CSV reader."""
    if not path.is_file():
        return {}
    found: dict[str, list[Box]] = {}
    for row in rows_of(path, needed=("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")):
        try:
            x, y, w, h = (float(row[name]) for name in ("Bbox [x", "y", "w", "h]"))
        except ValueError:
            raise ValueError(
                f"{path}: the box of {row['Image Index']} is not four numbers"
            ) from None
        label = OTHER_WORDS.get(row["Finding Label"], row["Finding Label"])
        found.setdefault(row["Image Index"], []).append(Box(x, y, x + w, y + h, label))
    return found


def _parts(root: Path) -> dict[str, str]:
    """The official split by image, where train_val_list.txt and test_list.txt are there."""
    return {
        name: part
        for file, part in PARTS.items()
        if (root / file).is_file()
        for name in (root / file).read_text().split()
    }
