"""What the header of a file says of itself, read with other means than it was written with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsynth.images.dicom.files import dicom_files
from medsynth.images.files import JPEG, NIFTI, VOLUMES, suffix_of
from medsynth.marking import WORD

SOME = 65536  # bytes: no header of ours is longer


def mark_in_header(path: Path) -> str | None:
    """The words of the mark in a file's header; None: there is none."""
    objects = dicom_files(path)
    if objects or path.is_dir():
        words = [_of_dicom(each) for each in objects]
        return words[0] if words and all(words) else None
    suffix = suffix_of(path)
    if suffix in NIFTI:
        import nibabel

        header: Any = nibabel.load(path).header
        return _marked(header["descrip"].item().decode("ascii", "replace"))
    if suffix in VOLUMES:
        with path.open("rb") as file:
            lines = file.read(SOME).split(b"\n\n")[0].decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in lines if line.startswith(WORD)), None)
    return _of_picture(path, comment=suffix in JPEG)


def _of_dicom(path: Path) -> str | None:
    import pydicom

    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    if dataset.get("SyntheticData") != "YES":
        return None
    return f"Synthetic Data is YES; {dataset.get('SeriesDescription', '')}".rstrip("; ")


def _of_picture(path: Path, *, comment: bool) -> str | None:
    from PIL import Image

    with Image.open(path) as picture:
        said = picture.info.get("comment" if comment else WORD, "")
    return _marked(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))


def _marked(words: str) -> str | None:
    return words if words.startswith(WORD) else None
