"""CT trees of The Cancer Imaging Archive: patient / study / series / *.dcm, as of NLST."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pydicom

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts.csv_files import held
from medsynth.datasets.settings import Data
from medsynth.images.damage import naming

NLST_PATIENT = re.compile(r"\d{6}")
HEADER = ["Modality", "ImageType", "SeriesInstanceUID", "PatientID"]


def read_nlst(root: Path, data: Data) -> list[DataEntry]:
    """The CT series of patients 100012, 100158, ...; scouts are left out."""
    patients = patient_folders(root, NLST_PATIENT)
    entries = [
        DataEntry(path=folder, patient=patient.name, name=folder.relative_to(root).as_posix())
        for patient in patients
        for folder, header in ct_series(patient)
    ]
    if not entries:
        raise ValueError(
            f"layout 'nlst' expects folders named by six digits (100012/STUDY/SERIES/*.dcm) in {root} "
            f"or in NLST below it; it holds {held(root)}"
        )
    return entries


def patient_folders(root: Path, name: re.Pattern[str], *, depth: int = 3) -> list[Path]:
    """Folders called `name`, in `root` or a few folders below (manifest-1234/NLST/...), sorted."""
    level = [root]
    for _ in range(depth):
        below = [p for folder in level for p in sorted(folder.iterdir()) if p.is_dir()]
        found = [p for p in below if name.fullmatch(p.name)]
        if found:
            return found
        level = below
    return []


def ct_series(patient: Path) -> Iterator[tuple[Path, pydicom.Dataset]]:
    """Folders of CT slices below `patient` with the header of one slice; no radiograph, no scout."""
    for folder, names, files in os.walk(patient):
        names.sort()
        slices = sorted(f for f in files if f.endswith(".dcm"))
        if not slices:
            continue
        first = Path(folder, slices[0])
        with naming(first, otherwise="has a damaged DICOM header"):
            header = pydicom.dcmread(first, stop_before_pixels=True, specific_tags=HEADER)
        if header.get("Modality") == "CT" and "LOCALIZER" not in (header.get("ImageType") or ()):
            yield Path(folder), header
