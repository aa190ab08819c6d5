"""One DICOM series, or one DICOM file, to one image in physical units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth import limits
from medsynth.errors import GeometryError
from medsynth.events import Listener, Stage, ignore
from medsynth.images.damage import naming
from medsynth.images.dicom.consistency import (
    check_one_series,
    check_own_instances,
    check_same_meaning,
)
from medsynth.images.dicom.files import choose_series, find_dicom
from medsynth.images.dicom.frames import Frame, frames_of, numbers
from medsynth.images.dicom.pixels import (
    QUANTITATIVE,
    check_bits,
    check_monochrome,
    decode,
    physical,
)
from medsynth.images.dicom.stack import StackGrid, slice_extent_mm, stack, without_localizers
from medsynth.images.reference import ReferenceImage


def read_dicom(
    path: Path, *, series_uid: str | None = None, listener: Listener = ignore
) -> ReferenceImage:
    """The series in the folder `path` (or below it), or the file `path`.

    Raises:
        ValueError: No or several series, color, damaged or truncated files.
        GeometryError: The slices do not form one regular grid.
    """
    found: list[str] = []
    objects = find_dicom(path, found)
    files, notes = choose_series(objects, path, series_uid=series_uid)
    notes += found
    for file in files:
        with naming(file.path):
            check_monochrome(file.header, file.path)
            check_bits(file.header, file.path)
    frames, found = without_localizers([frame for file in files for frame in frames_of(file)])
    notes += found
    check_one_series(frames)
    is_2d = len(frames) == 1 and (frames[0].position is None or frames[0].orientation is None)
    if is_2d:
        grid, found = picture_grid(frames[0])
    else:
        frames, grid, found = stack(frames)
    check_same_meaning(frames)
    check_own_instances(frames)
    rows, columns = frames[0].shape
    what = f"{len(frames)} slices of {rows} x {columns}"
    limits.VOXELS.check(len(frames) * rows * columns, path, what)
    with naming(frames[0].path):
        notes += found + _value_notes(frames)
    voxels, padding = _read_voxels(frames, notes, listener)
    return ReferenceImage(
        image=as_image(voxels, grid),
        headers=tuple(frame.header for frame in frames),
        source=str(path),
        warnings=tuple(notes),
        padding=padding,
        is_2d=is_2d,
    )


def as_image(voxels: np.ndarray, grid: StackGrid) -> sitk.Image:
    """Voxels (k, j, i) on their grid."""
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(grid.origin.tolist())
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def picture_grid(frame: Frame) -> tuple[StackGrid, list[str]]:
    """The plane of a radiograph or another picture without a place in space: identity, in mm."""
    header, notes = frame.header, []
    spacing = frame.pixel_spacing
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = numbers(header, keyword, count=2, path=frame.path)
        if spacing is None and values is not None and (values > 0).all():
            spacing = tuple(values.tolist())
            notes.append(f"{frame.path}: pixel size from {keyword}, at the detector or film")
    if spacing is None:
        ratio = numbers(header, "PixelAspectRatio", count=2, path=frame.path)
        ratio = np.ones(2) if ratio is None or (ratio <= 0).any() else ratio
        spacing = (float(ratio[0] / ratio[1]), 1.0)  # PS3.3 C.7.6.3.1.7: vertical \ horizontal
        notes.append(f"{frame.path} does not say its pixel size; 1 mm is assumed")
    notes.append(
        f"{frame.path} has no position and orientation in space; it is placed at the origin"
    )
    extent = slice_extent_mm(frame, [])
    return StackGrid(np.zeros(3), np.array([spacing[1], spacing[0], extent]), np.eye(3)), notes


def _value_notes(frames: list[Frame]) -> list[str]:
    """What holds for all slices alike, and lossy compression of any of them."""
    header, notes = frames[0].header, []
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        if header.get("Modality") in QUANTITATIVE:
            notes.append("MONOCHROME1: shown inverted elsewhere; the values are kept")
        else:
            notes.append("MONOCHROME1: the values were inverted so that larger is brighter")
    if header.get("Modality") == "CT" and header.get("RescaleIntercept") is None:
        notes.append("the CT has no rescale: its values may not be HU")
    slope = numbers(header, "RescaleSlope", count=1, path=frames[0].path)
    if header.get("Modality") == "CT" and slope is not None and slope[0] < 0:
        notes.append(f"the rescale slope is {slope[0]:g}: larger stored values are lower HU")
    if any(str(frame.header.get("LossyImageCompression", "")) == "01" for frame in frames):
        notes.append("the images went through lossy compression")
    return notes


def _read_voxels(
    frames: list[Frame], notes: list[str], listener: Listener
) -> tuple[np.ndarray, np.ndarray | None]:
    """Voxels (k, j, i) float32 and the padding mask, or None where no voxel is padding."""
    voxels = np.empty((len(frames), *frames[0].shape), np.float32)
    padding = None
    by_file: dict[Path, list[tuple[int, Frame]]] = {}
    for k, frame in enumerate(frames):
        by_file.setdefault(frame.path, []).append((k, frame))
    with Stage("reading", total=len(by_file), listener=listener) as stage:
        for path, members in by_file.items():
            cells = decode(path, notes)
            if len(cells) != members[0][1].frames_in_file:
                raise GeometryError(
                    f"{path}: NumberOfFrames is {members[0][1].frames_in_file} but the pixels of "
                    f"{len(cells)} frames are there"
                )
            for k, frame in members:
                with naming(path):
                    voxels[k], mask = physical(cells[frame.index], frame.header, path)
                if mask is not None:
                    padding = np.zeros(voxels.shape, bool) if padding is None else padding
                    padding[k] = mask
            stage.advance()
    return voxels, padding
