"""CBIS-DDSM: four case description tables, and DICOM files that lie elsewhere than these say.

The tables name Mass-Training_P_00001_LEFT_CC/UID/UID/000000.dcm; the archive's downloader calls the
inner folders by date and number and the files 1-1.dcm, but keeps the name of the first folder. In
some rows the paths of the cropped image and of the mask are swapped, and some end with a line break.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pydicom

from medsynth.datasets.entries import HELD_OUT, TRAINING, DataEntry
from medsynth.datasets.layouts.csv_files import held, rows_of, side
from medsynth.datasets.settings import Data
from medsynth.images.damage import naming

TABLES = {
    "mass_case_description_train_set.csv": TRAINING,
    "mass_case_description_test_set.csv": HELD_OUT,
    "calc_case_description_train_set.csv": TRAINING,
    "calc_case_description_test_set.csv": HELD_OUT,
}
NEEDED = (
    *("patient_id", "left or right breast", "image view", "abnormality type", "pathology"),
    *("image file path", "ROI mask file path"),
)
DETAILS = (
    *("mass shape", "mass margins", "calc type", "calc distribution", "assessment", "subtlety"),
)


def read_cbis_ddsm(root: Path, data: Data) -> list[DataEntry]:
    """One entry per mammogram, with the masks of all its abnormalities.

    A patient of whom one mammogram is in a test table is held out with all mammograms.
    """
    tables = [(path, part) for name, part in TABLES.items() for path in sorted(root.rglob(name))]
    if not tables:
        raise ValueError(
            f"layout 'cbis_ddsm' expects {', '.join(TABLES)} (one or more of them) in {root}, which "
            f"holds {held(root)}"
        )
    folders = _case_folders(root)
    mammograms: dict[str, DataEntry] = {}
    for table, part in tables:
        for row in rows_of(table, needed=NEEDED):
            entry = _film(row, part, root=root, folders=folders, table=table)
            mammograms[entry.name] = (
                _merged(mammograms[entry.name], entry) if entry.name in mammograms else entry
            )
    test = {e.patient for e in mammograms.values() if e.part == HELD_OUT}
    return [
        replace(e, part=HELD_OUT if e.patient in test else TRAINING) for e in mammograms.values()
    ]


def _film(
    row: dict[str, str], part: str, *, root: Path, folders: dict[str, Path], table: Path
) -> DataEntry:
    case = _case(row["image file path"])
    mammograms = _files(folders, case)
    if len(mammograms) != 1:
        raise ValueError(
            f"{table} names {row['image file path']!r}, but {root} holds {len(mammograms)} DICOM files in "
            f"{case}; expected the one mammogram. Download the full mammogram images, or drop the row"
        )
    masks = _files(folders, _case(row["ROI mask file path"]))
    size = _shape(mammograms[0])
    return DataEntry(
        path=mammograms[0],
        patient=row["patient_id"],
        name=mammograms[0].relative_to(root).as_posix(),
        part=part,
        labels=(row["abnormality type"].casefold(), row["pathology"].casefold()),
        masks=tuple(mask for mask in masks if _shape(mask) == size),
        view=row["image view"].upper(),
        laterality=side(row["left or right breast"]),
        details={
            "density": row.get("breast_density") or row.get("breast density", ""),
            **{name: row[name] for name in DETAILS if row.get(name)},
        },
    )


def _merged(mammogram: DataEntry, other: DataEntry) -> DataEntry:
    """One mammogram with what both rows say of it."""
    return replace(
        mammogram,
        part=HELD_OUT if HELD_OUT in (mammogram.part, other.part) else mammogram.part,
        labels=tuple(dict.fromkeys((*mammogram.labels, *other.labels))),
        masks=tuple(dict.fromkeys((*mammogram.masks, *other.masks))),
    )


def _case(path: str) -> str:
    """Mass-Training_P_00001_LEFT_CC of a path as the tables write it."""
    parts = PurePosixPath(path.strip().strip('"').strip().replace("\\", "/")).parts
    return next((part for part in parts if "_P_" in part), parts[0] if parts else "")


def _case_folders(root: Path) -> dict[str, Path]:
    """Every folder Mass-..., Calc-... below `root` by name."""
    found: dict[str, Path] = {}
    for folder, names, _ in os.walk(root):
        for name in [n for n in names if n.startswith(("Mass-", "Calc-")) and "_P_" in n]:
            found.setdefault(name, Path(folder, name))
            names.remove(name)
    return found


def _files(folders: dict[str, Path], case: str) -> list[Path]:
    return sorted(folders[case].rglob("*.dcm")) if case in folders else []


def _shape(path: Path) -> tuple[int, int]:
    with naming(path, otherwise="has a damaged DICOM header"):
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(header.Rows), int(header.Columns)
