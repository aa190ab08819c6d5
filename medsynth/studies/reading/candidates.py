"""What may be drawn from a folder of images: every series, volume and picture in it, and its slices."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth.images.damage import naming
from medsynth.images.dicom.files import DicomFile, is_dicom, read_header
from medsynth.images.files import NIFTI, READABLE, suffix_of

PAIRS = ".npz"
# Of a result of ours only the image is one; its masks, previews and DICOM copies are not.
RESULT, RESULT_IMAGE = "result.json", "image.nrrd"
LAYOUT = "layout.json"  # of `medsynth dataset`


@dataclass(frozen=True)
class ImageSource:
    """A named folder (or file) of images of one kind."""

    name: str
    folder: Path
    synthetic: bool
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A series, a volume or a picture: `slices` of it may be drawn, from number `first` on.

    `path` is relative to the source. `person`: what is of one patient has one value. `twin`: an
    image and the reference that guided it have the same one, and are never both shown. `files`: of a
    series of single slices, in the order of their positions.
    """

    path: str
    slices: int
    person: str
    first: int = 0
    series: str | None = None
    files: tuple[str, ...] = ()
    twin: str | None = None


def find_candidates(source: ImageSource) -> list[Candidate]:
    """Everything in the source that can be shown, in the order of its paths.

    Raises:
        FileNotFoundError: the folder is not there.
        ValueError: it holds no image, a damaged one, or masks beside images.
    """
    if not source.folder.exists():
        raise FileNotFoundError(f"{source.name}: no such file or folder {source.folder}")
    if source.folder.is_file():
        found = _of_files(source, [source.folder])
    else:
        found = []
        for folder, subfolders, names in os.walk(source.folder):
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            if LAYOUT in names:
                raise ValueError(
                    f"{source.name}: {folder} is a layout of a data set, in which masks look like images; "
                    "give the items folder of the set"
                )
            if RESULT in names and RESULT_IMAGE in names:
                subfolders.clear()
                found.append(_of_result(source, Path(folder)))
                continue
            files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
            found += _of_files(source, [f for f in files if _is_wanted(source, f)])
    if not found:
        raise ValueError(
            f"{source.name}: {source.folder} holds no image that can be shown; expected DICOM, "
            f"{', '.join(READABLE)} or pairs.npz of medsynth evaluate"
        )
    return found


def _is_wanted(source: ImageSource, file: Path) -> bool:
    relative = file.relative_to(source.folder).as_posix()
    named = any(fnmatch(relative, p) or fnmatch(file.name, p) for p in source.exclude)
    return file.is_file() and not named


def _relative(source: ImageSource, path: Path) -> str:
    return "." if path == source.folder else path.relative_to(source.folder).as_posix()


def _of_files(source: ImageSource, files: list[Path]) -> list[Candidate]:
    found: list[Candidate] = []
    series: dict[tuple[str, str], list[DicomFile]] = {}
    for file in files:
        suffix = suffix_of(file)
        if suffix == PAIRS:
            found += _of_pairs(source, file)
        elif suffix in READABLE:
            name = _relative(source, file)
            found.append(Candidate(name, _depth(file), name))
        elif file.stat().st_size > 132 and is_dicom(file):
            header = read_header(file)
            if header.is_image and not header.is_segmentation:
                series.setdefault(_stack_of(header), []).append(header)
    for (uid, _), members in series.items():
        members = sorted(members, key=_position)
        first, alone = members[0].header, len(members) == 1
        name = _relative(source, members[0].path if alone else members[0].path.parent)
        frames = int(first.get("NumberOfFrames") or 1) if alone else len(members)
        parts = () if alone else tuple(_relative(source, m.path) for m in members)
        who = str(first.get("PatientID") or "") or name
        found.append(Candidate(name, frames, who, series=uid, files=parts))
    return found


def _stack_of(file: DicomFile) -> tuple[str, str]:
    """Series, and what slices of one stack share: localizers and other planes are stacks apart."""
    header = file.header
    plane = [round(float(v), 2) for v in header.get("ImageOrientationPatient") or ()]
    frames = int(header.get("NumberOfFrames") or 1)
    alone = str(file.path) if frames > 1 or "ImagePositionPatient" not in header else ""
    return file.series_uid, f"{header.get('Rows')} {header.get('Columns')} {plane} {alone}"


def _position(file: DicomFile) -> tuple[float, str]:
    """Where a slice lies along the normal of its plane (PS3.3 C.7.6.2.1.1)."""
    where, plane = (
        file.header.get(key) for key in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    if where is None or plane is None:
        return 0.0, str(file.path)
    normal = np.cross(np.array(plane[:3], float), np.array(plane[3:], float))
    return float(normal @ np.array(where, float)), str(file.path)


def _of_result(source: ImageSource, folder: Path) -> Candidate:
    """Our own result: the slices that were synthesized, and no other."""
    image = folder / RESULT_IMAGE
    record = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    first, last = (int(k) for k in record["slices"])
    name = _relative(source, image)
    return Candidate(name, last - first + 1, name, first)


def _of_pairs(source: ImageSource, file: Path) -> list[Candidate]:
    """Slices of `medsynth evaluate`: each synthetic one has a real twin that guided it."""
    with np.load(file) as arrays:
        key = pairs_key(source)
        if key not in arrays.files:
            raise ValueError(f"{file} holds no array {key!r}, which medsynth evaluate writes")
        owners = arrays["patients"].tolist() if "patients" in arrays.files else []
        real = arrays["real"]
    name = _relative(source, file)
    twins = [hashlib.sha256(np.ascontiguousarray(plane).data).hexdigest()[:16] for plane in real]
    return [
        Candidate(name, 1, str(owners[k]) if owners else name, first=k, twin=twin)
        for k, twin in enumerate(twins)
    ]


def pairs_key(source: ImageSource) -> str:
    """The array of a pairs file that this source means."""
    return "synthetic" if source.synthetic else "real"


def _depth(path: Path) -> int:
    """Slices of a volume, by its header alone."""
    if suffix_of(path) not in (*NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd"):
        return 1
    with naming(path, otherwise="cannot be read; it may be damaged"):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise ValueError(f"{path} cannot be read; it may be damaged") from error
        size = reader.GetSize()
    return int(size[2]) if len(size) > 2 else 1
