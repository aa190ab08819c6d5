"""Find the DICOM objects behind a path and choose the one series that is meant."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage, RTStructureSetStorage

from medsynth.images.damage import naming, one_line
from medsynth.images.dicom.limits import check_inflated_size

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file's path and its header, read up to the pixel data."""

    path: Path
    header: pydicom.Dataset
    sop_class: pydicom.uid.UID
    series_uid: str

    @property
    def is_segmentation(self) -> bool:
        return self.sop_class in SEGMENTATION_CLASSES

    @property
    def is_image(self) -> bool:
        """PS3.6 calls every image class '... Image Storage'; a private one has at least Rows."""
        if keyword := self.sop_class.keyword:
            return "ImageStorage" in keyword
        return "Rows" in self.header and not self.is_segmentation


def check_there(path: Path) -> None:
    """Refuse what is neither a file nor a folder: reading from a pipe would wait for ever.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a pipe, a socket or a device.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path} is a pipe or a device; save the image as a file")


def is_dicom(path: Path) -> bool:
    """Whether the file starts like DICOM: with the preamble of PS3.10 7.1, or without (old)."""
    with open(path, "rb") as file:
        start = file.read(132)
    # Without a preamble the first element is (0002,0000), or (0008,0000)..(0008,0020) if no meta.
    bare = start[:4] in (b"\x02\0\0\0", b"\x08\0\0\0") or (
        start[:2] == b"\x08\0" and len(start) > 8 and start[2] <= 0x20 and start[3] == 0
    )
    return start[128:] == b"DICM" or bare


def dicom_files(path: Path) -> list[Path]:
    """`path` itself, or every file right in the folder `path`, where it starts like DICOM."""
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    return [each for each in files if is_dicom(each)]


def read_header(path: Path) -> DicomFile:
    """The header without pixel data.

    Raises:
        ValueError: The file is damaged before its pixel data.
    """
    with naming(path, otherwise="has a damaged DICOM header"):
        check_inflated_size(path)
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        meta = header.file_meta
        sop_class = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
        series = header.get("SeriesInstanceUID") or ""
        file = DicomFile(path, header, pydicom.uid.UID(sop_class), str(series))
    if not header:
        raise ValueError(f"{path} has a damaged DICOM header (it holds no element)")
    return file


def find_dicom(path: Path, notes: list[str] | None = None) -> list[DicomFile]:
    """Every DICOM object that is the file `path`, or lies in the folder `path` or below it.

    Other files, hidden ones and DICOMDIR are passed over; so are links that lead nowhere, pipes and
    devices, whose first one is told in `notes`.

    Raises:
        ValueError: There is none, with what the folder holds instead; or a .dcm that is damaged.
    """
    if path.is_file():
        return [read_header(path)]
    found: list[Path] = []
    others: list[Path] = []
    no_files: list[Path] = []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        for name in sorted(n for n in names if not n.startswith(".")):
            file = Path(folder, name)
            if not file.is_file():  # opening a pipe would wait for ever
                no_files.append(file)
                continue
            (found if is_dicom(file) else others).append(file)
    if no_files and notes is not None:
        notes.append(
            f"{len(no_files)} links that lead nowhere, pipes or devices were left out, such as "
            f"{no_files[0]}"
        )
    for file in others:
        if file.suffix.lower() in (".dcm", ".dicom", ".ima"):  # a lost slice, not another file
            raise ValueError(f"{file} is not DICOM in spite of its name; it is empty or damaged")
    objects = [read_header(file) for file in found]
    objects = [o for o in objects if o.sop_class != MediaStorageDirectoryStorage]
    if not objects:
        held = f"{len(others)} other files, such as {others[0].name}" if others else "no files"
        raise ValueError(
            f"{path} holds no DICOM image ({held}); name the folder of a DICOM series, or an "
            "image file itself"
        )
    return objects


def choose_series(
    objects: list[DicomFile], folder: Path, *, series_uid: str | None
) -> tuple[list[DicomFile], list[str]]:
    """The images of one series, and warnings about what was left out.

    Raises:
        ValueError: No image at all, more than one series without `series_uid`, or none with it.
    """
    images = [o for o in objects if o.is_image]
    notes = _left_out(objects)
    if not images:
        raise ValueError(_no_image(objects, folder))
    series: dict[str, list[DicomFile]] = {}
    for image in images:
        series.setdefault(image.series_uid, []).append(image)
    if series_uid is not None:
        if series_uid not in series:
            raise ValueError(
                f"{folder} holds no series {series_uid!r}; it holds {_series_list(series)}"
            )
        return series[series_uid], notes
    if len(series) > 1:
        raise ValueError(
            f"{folder} holds {len(series)} series: {_series_list(series)}; choose one with "
            "series_uid, or put it in a folder of its own"
        )
    return images, notes


def _series_list(series: dict[str, list[DicomFile]], *, shown: int = 8) -> str:
    words = []
    for uid, images in list(series.items())[:shown]:
        name = f"{_word(images[0], 'Modality')} {_word(images[0], 'SeriesDescription')}".strip()
        files = f"{len(images)} file{'s' if len(images) > 1 else ''}"
        words.append(f"{one_line(uid)[:64] or 'no SeriesInstanceUID'} ({name}, {files})")
    more = f"; and {len(series) - shown} more" if len(series) > shown else ""
    return "; ".join(words) + more


def _word(file: DicomFile, keyword: str) -> str:
    with naming(file.path):
        return one_line(file.header.get(keyword) or "")


def _class_counts(objects: list[DicomFile]) -> str:
    counts = Counter(
        one_line(o.sop_class.name) or "unknown class" for o in objects if not o.is_image
    )
    return ", ".join(f"{count} x {name}" for name, count in counts.items())


def _left_out(objects: list[DicomFile]) -> list[str]:
    counts = _class_counts(objects)
    return [f"DICOM objects that are not images were left out: {counts}"] if counts else []


def _no_image(objects: list[DicomFile], path: Path) -> str:
    cure = "name the folder of an image series"
    if any(o.sop_class == RTStructureSetStorage for o in objects):
        cure = "convert the structure set to a DICOM SEG or an NRRD mask, e.g. in 3D Slicer"
    if any(o.is_segmentation for o in objects):
        cure = "a segmentation is given as a mask (roi or source mask), not as an image"
    return f"{path} holds no DICOM image but {_class_counts(objects)}; {cure}"
