"""Between grids, in mm: voxel places, images and masks resampled, geometries compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from medsynth.errors import GeometryError

SAME_PLACE = 0.01  # of a voxel: how far apart the corners of two equal grids may lie
HALF = 0.5 - 1e-4  # a voxel exactly half covered counts as covered, whatever the rounding


def voxel_to_mm(image: sitk.Image, ijk: np.ndarray) -> np.ndarray:
    """LPS mm (..., 3) of continuous voxel indices (..., 3) in SimpleITK's order i, j, k."""
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return np.asarray(ijk, float) @ matrix.T + image.GetOrigin()


def mm_to_voxel(image: sitk.Image, xyz: np.ndarray) -> np.ndarray:
    """Continuous voxel indices i, j, k (..., 3) of LPS mm (..., 3)."""
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return (np.asarray(xyz, float) - image.GetOrigin()) @ np.linalg.inv(matrix).T


def check_same_geometry(a: sitk.Image, b: sitk.Image) -> None:
    """Raises GeometryError unless every voxel of `a` lies where the same voxel of `b` lies."""
    if a.GetSize() != b.GetSize():
        raise GeometryError(
            f"the images have different sizes, {a.GetSize()} and {b.GetSize()} voxels; resample "
            "one onto the other"
        )
    size = np.array(a.GetSize())
    corners = np.array(np.meshgrid(*zip((0, 0, 0), size - 1, strict=True))).reshape(3, -1).T
    apart = np.linalg.norm(voxel_to_mm(a, corners) - voxel_to_mm(b, corners), axis=1).max()
    spacing = np.abs(np.subtract(a.GetSpacing(), b.GetSpacing())).max()
    # one slice has only one corner along k, so its thickness is compared by itself
    if apart > SAME_PLACE * min(a.GetSpacing()) or spacing > SAME_PLACE * min(a.GetSpacing()):
        raise GeometryError(
            f"the images lie up to {apart:.3f} mm apart: origin {_short(a.GetOrigin())} and "
            f"{_short(b.GetOrigin())}, spacing {_short(a.GetSpacing())} and "
            f"{_short(b.GetSpacing())}, direction {_short(a.GetDirection())} and "
            f"{_short(b.GetDirection())}; resample one onto the other"
        )


def _short(values: tuple[float, ...]) -> list[float]:
    return np.round(values, 4).tolist()


def resample_image(image: sitk.Image, grid: sitk.Image, *, outside: float) -> sitk.Image:
    """`image` on the voxels of `grid`, linear, float32; `outside` where `image` does not reach.

    Point samples: onto a coarser grid nothing is averaged, so smooth first if that matters.
    """
    return sitk.Resample(
        sitk.Cast(image, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkLinear, float(outside)
    )


def resample_mask(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """`mask` on the voxels of `grid`, uint8 0/1: where the linearly interpolated mask reaches 0.5.

    A separate piece of the mask too thin to reach 0.5 on any voxel of a coarser grid does not
    vanish: the voxels that contain its voxels' centers are marked. What lies outside `grid` is
    lost; `fraction_outside` tells how much.

    Raises:
        ValueError: The mask marks nothing.
        GeometryError: It marks nothing inside `grid`; the message tells the distance.
    """
    pieces = _pieces(mask)
    linear = resample_image(pieces > 0, grid, outside=0.0)
    result = sitk.GetArrayViewFromImage(linear) >= HALF
    _mark_thin_pieces(result, pieces, grid)
    if not result.any():
        raise GeometryError(
            f"the mask lies outside the image, {_distance_mm(pieces, grid):.1f} mm from its edge; "
            "was it drawn on another image, or saved without its place in the patient?"
        )
    on_grid = sitk.GetImageFromArray(result.astype(np.uint8))
    on_grid.CopyInformation(grid)
    return on_grid


def fraction_outside(mask: sitk.Image, grid: sitk.Image) -> float:
    """The share (0 - 1) of the mask's voxels whose centers lie outside the voxels of `grid`."""
    inside = [_inside(index, grid) for index, _ in _centers(_pieces(mask), grid)]
    return float(1 - np.concatenate(inside).mean())


def _pieces(mask: sitk.Image) -> sitk.Image:
    """The connected pieces of the mask, numbered from 1, cut to their box plus one empty voxel.

    Raises:
        ValueError: The mask marks nothing.
    """
    marked = sitk.GetArrayViewFromImage(mask) != 0
    if not marked.any():
        raise ValueError("the mask is empty: it marks no voxel; paint the region first")
    ends = [np.flatnonzero(marked.any(axis=axes))[[0, -1]] for axes in ((0, 1), (0, 2), (1, 2))]
    low, high = np.transpose(ends)
    region = sitk.RegionOfInterest(mask != 0, (high - low + 1).tolist(), low.tolist())
    return sitk.ConnectedComponent(sitk.ConstantPad(region, [1] * 3, [1] * 3, 0), True)


def _centers(pieces: sitk.Image, grid: sitk.Image) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slice by slice, each marked voxel's place in `grid`'s continuous i, j, k and its piece.

    By slices, because the places of a whole lung at once would take gigabytes.
    """
    for k, labels in enumerate(sitk.GetArrayViewFromImage(pieces)):
        j, i = np.nonzero(labels)
        if len(i):
            ijk = np.stack([i, j, np.full_like(i, k)], axis=1)
            yield mm_to_voxel(grid, voxel_to_mm(pieces, ijk)), labels[j, i]


def _inside(index: np.ndarray, grid: sitk.Image) -> np.ndarray:
    inside = (index >= -0.5) & (index < np.array(grid.GetSize()) - 0.5)
    return np.all(inside, axis=-1)


def _mark_thin_pieces(result: np.ndarray, pieces: sitk.Image, grid: sitk.Image) -> None:
    """Mark in `result` (k, j, i) the voxels around each piece of which no voxel is marked yet."""
    seen = np.zeros(int(sitk.GetArrayViewFromImage(pieces).max()) + 1, bool)
    for i, j, k, names in _voxels_around(pieces, grid):
        seen[names[result[k, j, i]]] = True
    for i, j, k, names in _voxels_around(pieces, grid):
        thin = ~seen[names]
        result[k[thin], j[thin], i[thin]] = True


def _voxels_around(pieces: sitk.Image, grid: sitk.Image) -> Iterator[tuple[np.ndarray, ...]]:
    """As `_centers`, but the voxels i, j, k of `grid` that contain them; only those inside."""
    for index, names in _centers(pieces, grid):
        inside = _inside(index, grid)
        i, j, k = np.floor(index[inside] + 0.5).astype(int).T
        yield i, j, k, names[inside]


def _distance_mm(pieces: sitk.Image, grid: sitk.Image) -> float:
    """From the nearest marked voxel's center to the box that the voxels of `grid` fill."""
    last = np.array(grid.GetSize()) - 0.5
    return min(
        float(
            np.linalg.norm((index - np.clip(index, -0.5, last)) * grid.GetSpacing(), axis=1).min()
        )
        for index, _ in _centers(pieces, grid)
    )
