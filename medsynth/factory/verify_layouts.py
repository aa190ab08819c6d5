"""What is wrong with a layout of a set: its files against its journal, the marks in them, its age."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from medsynth.factory.layouts.writing import ABOUT, Entries
from medsynth.factory.store import DataSet
from medsynth.marking import KEY, WORD
from medsynth.storage.files import sha256

# Where a NIfTI header has its description.
DESCRIPTION = slice(148, 228)


def layout_faults(dataset: DataSet, folder: Path) -> Iterator[str]:
    """Files that are missing or were changed, images that are missing or too many, marks."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        there = {entry["id"]: entry["digest"] for entry in Entries(folder)}
        index = dict(about["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"is no layout of a set, or is damaged ({error}); remove it and convert again"
        return
    if WORD not in str(about.get("mark")):
        yield f"{ABOUT} does not say that the images are synthetic"
    current = {item.id: item.digest for item in dataset.items()}
    for name in sorted(current.keys() - there.keys()):
        yield f"image {name} is not in it; convert again"
    for name in sorted(there.keys() - current.keys()):
        yield f"image {name} is in it and no longer in the set; convert again"
    for name in sorted(current.keys() & there.keys()):
        if current[name] != there[name]:
            yield f"image {name} was made anew since; convert again"
    for files in (index, *(entry["files"] for entry in Entries(folder))):
        for name, digest in files.items():
            yield from file_faults(folder, name, digest)


def file_faults(folder: Path, name: str, digest: str) -> Iterator[str]:
    """What is wrong with one file of a layout, whose SHA-256 was `digest`."""
    path = folder / name
    if not path.is_file():
        yield f"{name} is not there"
    elif sha256(path) != digest:
        yield f"{name} was changed since it was written"
    elif not is_marked(path):
        yield f"{name} is not marked as synthetic"


def is_marked(path: Path) -> bool:
    """Whether the file says SYNTHETIC; of a format that has no place for it, true."""
    check = next((c for end, c in CHECKS.items() if path.name.endswith(end)), None)
    return check is None or check(path)


def _nifti(path: Path) -> bool:
    with gzip.open(path) as file:
        return WORD.encode() in file.read(DESCRIPTION.stop)[DESCRIPTION]


def _png(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as picture:
        return WORD in str(getattr(picture, "text", {}).get(KEY, ""))


def _dicom(path: Path) -> bool:
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True).get("SyntheticData") == "YES"


def _tar(path: Path) -> bool:
    with tarfile.open(path) as shard:
        return WORD in shard.pax_headers.get("comment", "")


CHECKS: dict[str, Callable[[Path], bool]] = {
    ".nii.gz": _nifti,
    ".png": _png,
    ".dcm": _dicom,
    ".tar": _tar,
}
