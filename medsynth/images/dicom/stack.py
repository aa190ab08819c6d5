"""From frames in any order to one regular grid: sorted along the normal, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medsynth.errors import GeometryError
from medsynth.images.dicom.frames import Frame, PlacedFrame, numbers

ORIENTATION_TOLERANCE = 2e-3  # direction cosines are often rounded to three digits
STEP_TOLERANCE = 0.1  # of the usual step; more is an irregular or a missing slice
STEP_WARNING = 0.01
DRIFT_TOLERANCE = 0.5  # in-plane drift over the whole stack, in pixels

Vector = np.ndarray | tuple[float, float]


@dataclass(frozen=True, eq=False)
class StackGrid:
    """Where voxels lie, as SimpleITK has it: LPS mm, (i, j, k) order, axes in the columns."""

    origin: np.ndarray
    spacing: np.ndarray
    direction: np.ndarray


def stack(frames: list[Frame]) -> tuple[list[Frame], StackGrid, list[str]]:
    """The frames (without localizers) sorted along their common normal, their grid, and warnings.

    Raises:
        GeometryError: Mixed geometries, duplicates, missing slices, irregular steps, gantry tilt,
            or frames without a position; the message names the files.
    """
    notes: list[str] = []
    placed, direction = common_axes(frames)
    normal = direction[:, 2]
    placed = sorted(placed, key=lambda f: float(f.position @ normal))
    along = np.array([f.position @ normal for f in placed])
    if len(placed) == 1:
        step = slice_extent_mm(placed[0], notes)
    else:
        _check_no_duplicates(placed, along)
        notes += _check_steps(placed, along)
        check_straight(placed, normal)
        step = (along[-1] - along[0]) / (len(placed) - 1)
    spacing = np.array([placed[0].pixel_spacing[1], placed[0].pixel_spacing[0], step])
    return [*placed], StackGrid(placed[0].position, spacing, direction), notes


def common_axes(frames: Sequence[Frame]) -> tuple[list[PlacedFrame], np.ndarray]:
    """The frames, and the (3, 3) direction in which they lie: row, column, normal in its columns.

    Raises:
        GeometryError: The frames differ in orientation, matrix or pixel spacing, or lack them.
    """
    _check_one_geometry(frames)
    placed = _placed(frames)
    row, column = np.mean([f.orientation for f in placed], axis=0)
    # PS3.3 C.7.6.2.1.1: the normal is row x column; file names and InstanceNumber prove nothing
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    row /= np.linalg.norm(row)
    return placed, np.stack([row, np.cross(normal, row), normal], axis=1)


def without_localizers(frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """Scout images in the series of the slices they planned are left out, with a warning."""
    scouts = [f for f in frames if f.is_localizer]
    if not scouts or len(scouts) == len(frames):
        return frames, []
    kept = [f for f in frames if f not in scouts]
    return kept, [f"{len(scouts)} localizer images were left out, such as {scouts[0].path}"]


def slice_extent_mm(frame: Frame, notes: list[str]) -> float:
    """How thick a slice without neighbors is; 1 mm, with a warning, if the file is silent."""
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        value = numbers(frame.header, keyword, count=1, path=frame.path)
        if value is not None and value[0] > 0:
            return float(value[0])
    notes.append(f"{frame.path} does not say how thick its slice is; 1 mm is assumed")
    return 1.0


def _check_one_geometry(frames: Sequence[Frame]) -> None:
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if _same_plane_geometry(frame, group[0]):
                group.append(frame)
                break
        else:
            groups.append([frame])
    if len(groups) > 1:
        listed = "; ".join(f"{len(g)} x {_describe(g[0])}, such as {g[0].path}" for g in groups[:8])
        raise GeometryError(
            f"the slices have {len(groups)} different geometries (orientation, matrix or pixel "
            f"spacing): {listed}; put the slices of one of them in a folder of their own"
        )


def _same_plane_geometry(a: Frame, b: Frame) -> bool:
    return (
        a.shape == b.shape
        and _alike(a.orientation, b.orientation, atol=ORIENTATION_TOLERANCE)
        and _alike(a.pixel_spacing, b.pixel_spacing, rtol=1e-3)
    )


def _alike(a: Vector | None, b: Vector | None, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether both are missing, or both there and equal but for rounding."""
    if a is None or b is None:
        return a is b
    return np.allclose(a, b, rtol=rtol, atol=atol)


def _describe(frame: Frame) -> str:
    words = f"{frame.shape[0]} rows x {frame.shape[1]} columns"
    if frame.pixel_spacing is not None:
        words += f" of {frame.pixel_spacing[0]:g} x {frame.pixel_spacing[1]:g} mm"
    if frame.orientation is None:
        return words + " without orientation"
    return words + f", orientation {np.round(frame.orientation.ravel(), 4).tolist()}"


def _placed(frames: Sequence[Frame]) -> list[PlacedFrame]:
    for frame in frames:
        for keyword, value in (
            ("ImagePositionPatient", frame.position),
            ("ImageOrientationPatient", frame.orientation),
            ("PixelSpacing", frame.pixel_spacing),
        ):
            if value is not None:
                continue
            if len(frames) > 1 and frame.position is None and frame.orientation is None:
                raise GeometryError(
                    f"{frame.path}: {keyword} is missing, so the {len(frames)} images (or frames) "
                    "are pictures of their own, not slices of a volume; name a single-frame file"
                )
            raise GeometryError(
                f"{frame.path}: {keyword} is missing, so the slice cannot be placed in space"
            )
    return [PlacedFrame(**vars(frame)) for frame in frames]


def _check_no_duplicates(frames: Sequence[Frame], along: np.ndarray) -> None:
    same = np.diff(along) < 1e-3
    if not same.any():
        return
    first = int(np.argmax(same))
    positions = 1 + int((~same).sum())
    a, b = frames[first].name, frames[first + 1].name
    where = f"at {along[first]:.2f} mm along the normal"
    if len(frames) % positions == 0 and positions > 1:
        raise GeometryError(
            f"{a} and {b} lie at the same place ({where}); the series holds "
            f"{len(frames) // positions} images at each of {positions} positions (time points, "
            "echoes or copies): put one set in a folder of its own"
        )
    raise GeometryError(
        f"{a} and {b} lie at the same place ({where}): a duplicate slice; remove one of them"
    )


def _check_steps(frames: Sequence[Frame], along: np.ndarray) -> list[str]:
    steps = np.diff(along)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    off = np.abs(steps - usual)
    worst = int(np.argmax(off))
    if off[worst] > STEP_TOLERANCE * usual:
        a, b, step = frames[worst].name, frames[worst + 1].name, steps[worst]
        missing = round(step / usual) - 1
        if missing >= 1:
            raise GeometryError(
                f"{missing} slice{'s are' if missing > 1 else ' is'} missing between {a} and {b}: "
                f"they lie {step:.2f} mm apart, the others {usual:.2f} mm; export the series again"
            )
        raise GeometryError(
            f"the slices are not evenly spaced: {a} and {b} lie {step:.2f} mm apart, the others "
            f"{usual:.2f} mm; resample the series to an even spacing first"
        )
    notes = []
    if off[worst] > STEP_WARNING * usual:
        notes.append(
            f"slice steps vary by up to {off[worst]:.3f} mm around {usual:.3f} mm; an even grid "
            "is used"
        )
    thickness = numbers(frames[0].header, "SliceThickness", count=1, path=frames[0].path)
    if thickness is not None and 0 < 1.5 * thickness[0] < usual:
        notes.append(
            f"slices lie {usual:.2f} mm apart but are {thickness[0]:.2f} mm thick: the volume has "
            "gaps, or every other slice is missing"
        )
    return notes


def check_straight(frames: Sequence[PlacedFrame], normal: np.ndarray) -> None:
    """Raises GeometryError if the frames are shifted in their planes against each other."""
    offsets = np.array([f.position - frames[0].position for f in frames])
    in_plane = offsets - np.outer(offsets @ normal, normal)
    drift = np.linalg.norm(in_plane, axis=1)
    worst = int(np.argmax(drift))
    if drift[worst] <= DRIFT_TOLERANCE * min(frames[0].pixel_spacing):
        return
    depth = offsets[worst] @ normal
    tilt = np.degrees(np.arctan2(drift[worst], depth))
    raise GeometryError(
        f"the slices are sheared: {frames[worst].name} is shifted in its plane by "
        f"{drift[worst]:.2f} mm against {frames[0].name}, {depth:.2f} mm away (gantry tilt of "
        f"{tilt:.2f} degrees, or a shifted slice); re-slice the series to an upright grid first"
    )
