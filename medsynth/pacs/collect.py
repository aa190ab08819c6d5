"""Which objects of a folder are to be sent, read from their headers; unmarked ones are refused."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
HEADER_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SyntheticData",
]


@dataclass(frozen=True)
class Instance:
    """One DICOM object: what identifies it, and SHA-256 of the whole file and of its pixel data."""

    uid: str
    sop_class: str
    study: str
    series: str
    transfer_syntax: str
    file: str
    sha256: str
    pixels: str
    size: int

    @property
    def is_segmentation(self) -> bool:
        return self.sop_class == SEGMENTATION_STORAGE

    def to_record(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)


def collect(folder: Path) -> list[Instance]:
    """Every DICOM object under OUT, images before segmentations.

    Takes `OUT/dicom` where there is one, else the folder itself.

    Raises:
        FileNotFoundError: no DICOM file is there.
        ValueError: an object is not marked as synthetic, is damaged, or a UID occurs twice.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give the OUT folder of a synthesis")
    root = folder / "dicom" if (folder / "dicom").is_dir() else folder
    paths = sorted(path for path in root.rglob("*.dcm") if path.is_file())
    if not paths:
        raise FileNotFoundError(f"{folder} holds no .dcm file; give the OUT folder of a synthesis")
    instances = [read_instance(path) for path in paths]
    seen: dict[str, str] = {}
    for instance in instances:
        if instance.uid in seen:
            raise ValueError(
                f"{instance.file} and {seen[instance.uid]} have the same SOP Instance UID"
            )
        seen[instance.uid] = instance.file
    return sorted(instances, key=lambda instance: (instance.is_segmentation, instance.file))


def read_instance(path: Path) -> Instance:
    """The identity of one file. Raises ValueError when it must not be sent."""
    content = path.read_bytes()
    try:
        header = dcmread(BytesIO(content), specific_tags=[*HEADER_TAGS, "PixelData"])
    except InvalidDicomError as error:
        raise ValueError(f"{path} is not a DICOM file: {error}") from error
    missing = [keyword for keyword in HEADER_TAGS[:4] if not header.get(keyword)]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; write it again")
    # Supplement 240: (0008,001C). A real patient's image must never leave by this door.
    if header.get("SyntheticData") != "YES":
        raise ValueError(
            f"{path} is not marked as synthetic (SyntheticData is "
            f"{header.get('SyntheticData', 'absent')!r}, expected 'YES'); only synthetic objects "
            "are sent"
        )
    if header.file_meta.get("MediaStorageSOPInstanceUID") != header.SOPInstanceUID:
        raise ValueError(f"{path} names one UID in its file meta and another in the data set")
    return Instance(
        uid=str(header.SOPInstanceUID),
        sop_class=str(header.SOPClassUID),
        study=str(header.StudyInstanceUID),
        series=str(header.SeriesInstanceUID),
        transfer_syntax=str(header.file_meta.TransferSyntaxUID),
        file=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        pixels=hashlib.sha256(header.get("PixelData") or b"").hexdigest(),
        size=len(content),
    )


def sha256_of(path: Path) -> str:
    """Of the whole file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
