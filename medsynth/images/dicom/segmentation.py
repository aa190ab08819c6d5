"""DICOM segmentations (SEG) to a mask on the grid that their own frames describe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from medsynth import limits
from medsynth.errors import GeometryError
from medsynth.images.damage import naming
from medsynth.images.dicom.files import DicomFile, read_header
from medsynth.images.dicom.frames import Frame, frames_of, numbers
from medsynth.images.dicom.pixels import decode
from medsynth.images.dicom.series import as_image
from medsynth.images.dicom.stack import StackGrid, check_straight, common_axes, slice_extent_mm


def read_segmentation(path: Path) -> sitk.Image:
    """All segments united as uint8 0/1; slices without a frame between others are empty.

    BINARY as stored; FRACTIONAL where the fraction is at least 0.5, whether it is a probability or
    an occupancy; LABELMAP wherever a label other than 0 and the padding value stands.

    Raises:
        ValueError: Not a segmentation, or damaged.
        GeometryError: The frames do not lie on one regular grid.
    """
    file = read_header(path)
    if not file.is_segmentation:
        raise ValueError(f"{path} is not a DICOM segmentation but {file.sop_class.name}")
    frames = frames_of(file)
    slots, grid = _slots(frames)
    cells = decode(path, [])
    if len(cells) != len(frames):
        raise ValueError(f"{path} describes {len(frames)} frames but holds {len(cells)}")
    mask = np.zeros((max(slots) + 1, *frames[0].shape), np.uint8)
    for slot, frame in zip(slots, frames, strict=True):
        with naming(path):
            mask[slot] |= _marked(cells[frame.index], file)
    return as_image(mask, grid)


def read_segments(path: Path) -> list[tuple[int, sitk.Image]]:
    """Each segment's number and its voxels as `read_segmentation` has them, all on one grid.

    Raises:
        ValueError, GeometryError: As `read_segmentation`.
    """
    file = read_header(path)
    frames = frames_of(file)
    slots, grid = _slots(frames)
    cells = decode(path, [])
    if len(cells) != len(frames):
        raise ValueError(f"{path} describes {len(frames)} frames but holds {len(cells)}")
    masks: dict[int, np.ndarray] = {}
    for slot, frame in zip(slots, frames, strict=True):
        with naming(path):
            for number, marked in _segments(cells[frame.index], file, frame.index):
                if number not in masks:
                    masks[number] = np.zeros((max(slots) + 1, *frames[0].shape), np.uint8)
                    voxels = len(masks) * masks[number].size
                    limits.VOXELS.check(voxels, path, f"{len(masks)} segments of a volume each")
                masks[number][slot] |= marked
    return [(number, as_image(masks[number], grid)) for number in sorted(masks)]


def _segments(cells: np.ndarray, file: DicomFile, index: int) -> Iterator[tuple[int, np.ndarray]]:
    """Segment numbers of one frame and what they mark; a label map has several."""
    marked = _marked(cells, file)
    if file.header.get("SegmentationType") == "LABELMAP":
        for number in np.unique(cells[marked]):
            yield int(number), marked & (cells == number)
        return
    groups = (
        file.header.PerFrameFunctionalGroupsSequence[index],
        *file.header.get("SharedFunctionalGroupsSequence", ()),
    )
    for group in groups:
        if "SegmentIdentificationSequence" in group:
            yield int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber), marked
            return
    raise ValueError(f"{file.path}: frame {index + 1} does not say which segment it belongs to")


def _marked(cells: np.ndarray, file: DicomFile) -> np.ndarray:
    header: pydicom.Dataset = file.header
    kind = header.get("SegmentationType")
    if kind == "BINARY":
        return cells != 0
    if kind == "FRACTIONAL":
        full = numbers(header, "MaximumFractionalValue", count=1, path=file.path)
        return cells >= 0.5 * (255 if full is None else full[0])
    if kind == "LABELMAP":
        # PS3.3 C.8.20.2: 0 is background, and PixelPaddingValue, if given, is no segment either
        return (cells != 0) & (cells != header.get("PixelPaddingValue", 0))
    raise ValueError(
        f"{file.path}: SegmentationType must be BINARY, FRACTIONAL or LABELMAP, got {kind!r}"
    )


def _slots(frames: list[Frame]) -> tuple[list[int], StackGrid]:
    """Which slice k each frame is (segments may share one, empty ones lack), and the grid."""
    placed, direction = common_axes(frames)
    normal = direction[:, 2]
    along = np.array([f.position @ normal for f in placed])
    first = placed[int(np.argmin(along))]
    check_straight([first, *placed], normal)
    step = _step_mm(frames, np.unique(np.round(along - along.min(), 3)))
    slots = np.round((along - along.min()) / step).astype(int)
    count = int(slots.max()) + 1
    rows, columns = first.shape
    what = f"frames {step:g} mm apart over {np.ptp(along):.0f} mm would be {count} slices"
    limits.FRAMES.check(count, first.path, what)
    limits.VOXELS.check(count * rows * columns, first.path, f"{what} of {rows} x {columns}")
    spacing = np.array([first.pixel_spacing[1], first.pixel_spacing[0], step])
    return slots.tolist(), StackGrid(first.position, spacing, direction)


def _step_mm(frames: list[Frame], depths: np.ndarray) -> float:
    """The slice step: what the file says where its frames fit it, else their smallest distance.

    Empty frames are commonly left out, so the distance between neighbors is not always the step.
    `depths` are the distinct positions along the normal from the first, ascending, in mm.
    """
    if len(depths) == 1:
        return slice_extent_mm(frames[0], [])
    smallest = float(np.diff(depths).min())
    said = []
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = numbers(frames[0].header, keyword, count=1, path=frames[0].path)
        if value is not None and 0 < abs(value[0]) <= 1.05 * smallest:
            said.append(abs(float(value[0])))
    for step in (*said, smallest):
        count = np.round(depths / step)
        fitted = depths[-1] / count[-1]
        even = np.abs(depths - count * fitted).max() <= 0.1 * step
        if even and abs(fitted - step) <= 0.05 * step:
            return float(fitted)
    raise GeometryError(
        f"{frames[0].path}: the frames are not evenly spaced (positions along the normal "
        f"{np.round(depths[:6], 2).tolist()} ... mm); resample the segmentation first"
    )
