"""The single slices of DICOM files: one `Frame` each, from classic and from multi-frame objects."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from medsynth.images.damage import naming
from medsynth.images.dicom.files import DicomFile
from medsynth.images.dicom.limits import frame_count

# PS3.3 C.7.6.16.2: the functional groups that say where a frame lies, what its values mean and how
# it was taken; references to other objects stay out of the flat header.
FLATTENED_GROUPS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "CTXRayDetailsSequence",
    "CTExposureSequence",
    "CTReconstructionSequence",
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
MULTI_FRAME_ONLY = (
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice: where its pixels are and where it lies in the patient (LPS mm).

    `position` (3,) is the center of the first pixel; `orientation` (2, 3) the unit vectors along a
    row and along a column. Both are None for a picture without a place in space.
    """

    path: Path
    index: int
    frames_in_file: int
    header: pydicom.Dataset
    position: np.ndarray | None
    orientation: np.ndarray | None
    shape: tuple[int, int]
    pixel_spacing: tuple[float, float] | None  # mm between rows, mm between columns
    is_localizer: bool

    @property
    def name(self) -> str:
        """The file, and which of its frames where it has several."""
        many = f" (frame {self.index + 1})" if self.frames_in_file > 1 else ""
        return f"{self.path}{many}"


@dataclass(frozen=True, eq=False)
class PlacedFrame(Frame):
    """A slice of which all is known that places it in space; `stack.common_axes` makes them."""

    position: np.ndarray
    orientation: np.ndarray
    pixel_spacing: tuple[float, float]


def numbers(header: pydicom.Dataset, keyword: str, *, count: int, path: Path) -> np.ndarray | None:
    """`count` finite numbers of one element as float64 (count,); None where absent or empty."""
    with naming(path, otherwise=f"has a {keyword} that cannot be read as numbers"):
        value = header.get(keyword)
        if value is None or value == "" or (not np.isscalar(value) and len(value) == 0):
            return None
        values = np.atleast_1d(np.asarray(value, dtype=float))
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(f"{path}: {keyword} must be {count} numbers, got {values.tolist()}")
    return values


def frames_of(file: DicomFile) -> list[Frame]:
    """The frames of one file, in file order.

    Raises:
        ValueError: Rows or Columns are missing, or a geometry element is malformed.
    """
    with naming(file.path, otherwise="has a damaged DICOM header"):
        return _frames_of(file)


def _frames_of(file: DicomFile) -> list[Frame]:
    header, count = file.header, _frame_count(file)
    if "PerFrameFunctionalGroupsSequence" in header:
        return [_frame(file.path, i, count, _flat_header(header, i)) for i in range(count)]
    first = _frame(file.path, 0, count, header)
    return [dataclasses.replace(first, index=i) for i in range(count)]


def _frame_count(file: DicomFile) -> int:
    frames = frame_count(file.header, file.path)
    groups = file.header.get("PerFrameFunctionalGroupsSequence")
    if groups is not None and len(groups) != frames:
        raise ValueError(
            f"{file.path}: NumberOfFrames is {frames} but PerFrameFunctionalGroupsSequence "
            f"describes {len(groups)}; the file is damaged, export it again"
        )
    return frames


def _flat_header(header: pydicom.Dataset, index: int) -> pydicom.Dataset:
    flat = pydicom.Dataset()
    flat.update({e.tag: e for e in header if e.keyword not in MULTI_FRAME_ONLY})
    flat.file_meta = header.file_meta
    shared = header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    for groups in (shared[0], header.PerFrameFunctionalGroupsSequence[index]):
        for name in FLATTENED_GROUPS:
            for item in (groups.get(name) or [])[:1]:
                flat.update(copy.deepcopy(item))
    # a new element: setting the value would change the one that all frames share
    flat.add_new("InstanceNumber", "IS", index + 1)
    return flat


def _frame(path: Path, index: int, count: int, header: pydicom.Dataset) -> Frame:
    spacing = numbers(header, "PixelSpacing", count=2, path=path)
    if spacing is not None and (spacing <= 0).any():
        raise ValueError(f"{path}: PixelSpacing must be positive, got {spacing.tolist()} mm")
    return Frame(
        path=path,
        index=index,
        frames_in_file=count,
        header=header,
        position=numbers(header, "ImagePositionPatient", count=3, path=path),
        orientation=_orientation(header, path),
        shape=(int(header.Rows), int(header.Columns)),
        pixel_spacing=None if spacing is None else tuple(spacing.tolist()),
        is_localizer="LOCALIZER" in (header.get("ImageType") or []),
    )


def _orientation(header: pydicom.Dataset, path: Path) -> np.ndarray | None:
    values = numbers(header, "ImageOrientationPatient", count=6, path=path)
    if values is None:
        return None
    row, column = values.reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    # PS3.3 C.7.6.2.1.1: unit vectors, orthogonal; 1e-3 leaves room for values rounded to 3 digits
    if not np.allclose(lengths, 1, atol=2e-3) or abs(row @ column) > 2e-3:
        raise ValueError(
            f"{path}: ImageOrientationPatient must be two orthogonal unit vectors, got "
            f"{values.tolist()}"
        )
    return np.stack([row / lengths[0], column / lengths[1]])
