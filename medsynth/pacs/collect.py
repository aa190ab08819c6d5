"""Which objects of a folder are to be sent, read from their headers; unmarked ones are refused."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from medsynth.pacs.text import is_uid, plain, value_of
from medsynth.storage.files import sha256

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
HEADER_TAGS = (*UIDS, "SyntheticData")
META_OF = {
    "MediaStorageSOPClassUID": "SOPClassUID",
    "MediaStorageSOPInstanceUID": "SOPInstanceUID",
}
META_TAGS = (*META_OF, "TransferSyntaxUID")


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
    dataset = _parsed(path, content)
    header = _header(dataset)
    _check_identity(path, header)
    pixels = _writable(path, dataset)
    # Supplement 240: (0008,001C). A real patient's image must never leave by this door.
    if header["SyntheticData"] != "YES":
        raise ValueError(
            f"{path} is not marked as synthetic (SyntheticData is "
            f"{header['SyntheticData'] or 'absent'!r}, expected 'YES'); only synthetic objects "
            "are sent"
        )
    return Instance(
        uid=header["SOPInstanceUID"],
        sop_class=header["SOPClassUID"],
        study=header["StudyInstanceUID"],
        series=header["SeriesInstanceUID"],
        transfer_syntax=header["TransferSyntaxUID"],
        file=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        pixels=hashlib.sha256(pixels).hexdigest(),
        size=len(content),
    )


def _parsed(path: Path, content: bytes) -> Dataset:
    with _damage_of(path):
        return dcmread(BytesIO(content))


def _header(dataset: Dataset) -> dict[str, str]:
    """Values by keyword, empty where there is none that can be decoded."""
    of_dataset = {keyword: value_of(dataset, keyword) for keyword in HEADER_TAGS}
    return of_dataset | {keyword: value_of(dataset.file_meta, keyword) for keyword in META_TAGS}


def _writable(path: Path, dataset: Dataset) -> bytes:
    """The pixel data of an object whose every element can be decoded and encoded.

    Servers that take another transfer syntax, and STOW-RS, get it encoded anew; damage must not stop
    a job half-way.
    """
    with _damage_of(path):
        # As STOW-RS encodes it: elements that were not decoded go another way through pydicom.
        dcmwrite(BytesIO(), dcmread(BytesIO(path.read_bytes())))
        for _ in dataset.iterall():
            pass
        dcmwrite(BytesIO(), dataset, enforce_file_format=True)
        return bytes(dataset.get("PixelData") or b"")


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """What pydicom says of a damaged file, in errors of many types, as one ValueError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters here is refused
            yield
    except InvalidDicomError as error:
        raise ValueError(f"{path} is not a DICOM file: {error}") from error
    except Exception as error:  # noqa: BLE001
        why = str(error).partition("Traceback")[0]  # pydicom writes its own traceback into some
        raise ValueError(
            f"{path} is damaged and cannot be sent ({type(error).__name__}: {plain(why)}); "
            "write it again"
        ) from error


def _check_identity(path: Path, header: dict[str, str]) -> None:
    missing = [keyword for keyword in (*UIDS, "TransferSyntaxUID") if not header[keyword]]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; write it again")
    for keyword in UIDS:
        if not is_uid(header[keyword]):
            raise ValueError(
                f"{path}: {keyword} must be a UID of digits and dots, got "
                f"{header[keyword]!r}; write it again"
            )
    syntax = header["TransferSyntaxUID"]
    if not is_uid(syntax) or not UID(syntax).is_transfer_syntax:
        raise ValueError(
            f"{path}: TransferSyntaxUID is {syntax!r}, which is no transfer syntax that is "
            "known here; write it again"
        )
    for of_file, of_dataset in META_OF.items():
        if header[of_file] != header[of_dataset]:
            raise ValueError(
                f"{path} names one {of_dataset} in its file meta ({header[of_file]!r}) and "
                f"another in the data set ({header[of_dataset]!r}); write it again"
            )


def is_intact(path: Path, instance: Instance) -> bool:
    """Whether `path` is the object that was queued."""
    return path.is_file() and sha256(path) == instance.sha256
