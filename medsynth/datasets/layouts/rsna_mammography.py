"""RSNA Screening Mammography Breast Cancer Detection (Kaggle, 2022): train.csv and train_images/."""

from __future__ import annotations

from pathlib import Path

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts.csv_files import expect, flag, rows_of
from medsynth.datasets.settings import Data

NEEDED = ("patient_id", "image_id", "laterality", "view", "cancer")
FLAGS = ("cancer", "biopsy", "invasive", "implant", "difficult_negative_case")
DETAILS = ("site_id", "age", "BIRADS", "density", "machine_id")


def read_rsna_mammography(root: Path, data: Data) -> list[DataEntry]:
    """train_images/PATIENT/IMAGE.dcm (or .png, as many convert them) of every row of train.csv."""
    table = expect(root, "train.csv", layout="rsna_mammography", more="train_images/PATIENT/*.dcm")
    entries, lost = [], []
    for row in rows_of(table, needed=NEEDED):
        stem = root / "train_images" / row["patient_id"] / row["image_id"]
        path = next(
            (p for p in (stem.with_suffix(s) for s in (".dcm", ".png")) if p.is_file()), None
        )
        if path is None:
            lost.append(stem)
            continue
        entries.append(
            DataEntry(
                path=path,
                patient=row["patient_id"],
                name=path.relative_to(root).as_posix(),
                labels=tuple(name for name in FLAGS if flag(row.get(name, ""))),
                view=row["view"].upper(),
                laterality=row["laterality"].upper(),
                details={name: row[name] for name in DETAILS if row.get(name)},
            )
        )
    if lost:
        raise ValueError(
            f"{table} names {len(lost)} images that are not there, such as {lost[0]}.dcm; keep the "
            "rows of the images that you have"
        )
    return entries
