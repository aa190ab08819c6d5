"""One folder per patient, with folders of DICOM series below: what a PACS export looks like."""

from __future__ import annotations

from pathlib import Path

import pydicom

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.settings import Data
from medsynth.images.damage import naming


def read_patients(root: Path, data: Data) -> list[DataEntry]:
    """Every folder that directly holds .dcm files; those called `seg` hold segmentations."""
    entries = [
        DataEntry(
            path=folder,
            patient=patient.name,
            name=folder.relative_to(root).as_posix(),
            details={"PatientID": patient_id(folder)},
        )
        for patient in sorted(p for p in root.iterdir() if p.is_dir())
        for folder in series_folders(patient)
    ]
    if not entries:
        raise ValueError(
            f"layout 'patients' expects one folder per patient with DICOM series (*.dcm) below, but "
            f"{root} holds no image series; set data.layout for another layout"
        )
    return entries


def series_folders(patient: Path) -> list[Path]:
    """Folders below `patient` that directly hold DICOM files of images (not segmentations)."""
    found = sorted({file.parent for file in patient.rglob("*.dcm")})
    return [folder for folder in found if folder.name != "seg"]


def patient_id(folder: Path) -> str:
    """The PatientID of the first slice in `folder`; "" where it has none."""
    first = min(folder.glob("*.dcm"))
    with naming(first, otherwise="has a damaged DICOM header"):
        header = pydicom.dcmread(
            first, stop_before_pixels=True, specific_tags=["PatientID"], force=True
        )
        return str(header.get("PatientID") or "").strip()
