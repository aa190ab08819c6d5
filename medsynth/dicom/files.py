"""Data sets to files: marked or not at all, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medsynth import __version__
from medsynth.dicom.provenance import require_marks

IMPLEMENTATION_CLASS = "2.25.147885103186190537163325407930826309448"


def save(dataset: Dataset, path: Path) -> None:
    """Write an uncompressed Explicit VR Little Endian file, if it is marked as synthetic.

    Raises:
        ValueError: a mark is missing (see `require_marks`); nothing is written.
    """
    require_marks(dataset, where=path.name)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS)
    meta.ImplementationVersionName = f"MEDSYNTH_{__version__}"[:16]
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)
