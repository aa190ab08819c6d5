"""Distances to the border of a region, computed in the part of the image where the region is.

An exact distance transform costs as much for what is empty as for what is full, and most of a slice of
a chest is not lung.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]


def depth_mm(inside: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """How far each voxel of `inside` is from the nearest that is not; 0 outside.

    Args:
        inside: bool.
        spacing: mm, one for each axis of `inside`.

    Returns:
        float64, the shape of `inside`; infinity where everything is inside. The image's own edge does
        not count as a border.
    """
    if inside.all():
        return np.full(inside.shape, np.inf)
    depth = np.zeros(inside.shape)
    if inside.any():
        # The nearest voxel outside lies at most one beyond the region's box.
        box = box_around(inside, [1] * inside.ndim)
        depth[box] = _distance(inside[box], spacing)
    return depth


def distance_mm(mask: np.ndarray, spacing: Sequence[float], *, wanted: np.ndarray) -> np.ndarray:
    """How far each voxel of `wanted` is from the nearest of `mask`, as `depth_mm`; elsewhere at most that."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    distance = np.zeros(mask.shape)
    box = box_around(mask | wanted, [0] * mask.ndim)
    distance[box] = _distance(~mask[box], spacing)
    return distance


def within_mm(mask: np.ndarray, reach_mm: float, spacing: Sequence[float]) -> np.ndarray:
    """The voxels at most `reach_mm` from a voxel of `mask`, bool; none where the mask is empty."""
    near = np.zeros(mask.shape, dtype=bool)
    if mask.any():
        box = box_around(mask, [int(reach_mm / s) + 1 for s in spacing])
        near[box] = _distance(~mask[box], spacing) <= reach_mm
    return near


def box_around(mask: np.ndarray, margin: Sequence[int]) -> Box:
    """The box of the True voxels of `mask`, which has some, and `margin` voxels more along each axis."""
    axes = range(mask.ndim)
    found = []
    for axis, more in zip(axes, margin, strict=True):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis)))
        found.append(slice(max(0, int(there[0]) - more), int(there[-1]) + more + 1))
    return tuple(found)


def _distance(inside: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The transform without axes of one voxel, which double what it takes."""
    axes = [axis for axis, count in enumerate(inside.shape) if count > 1]
    if not axes:
        return np.zeros(inside.shape)
    plane = inside.reshape([inside.shape[axis] for axis in axes])
    found = ndimage.distance_transform_edt(plane, sampling=[spacing[axis] for axis in axes])
    return np.asarray(found).reshape(inside.shape)
