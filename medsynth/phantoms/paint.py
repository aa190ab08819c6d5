"""Paint organs into one axial plane: exact polygon and disc coverage at pixel centers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from medsynth.phantoms.thorax.shape import ClosedCurves, Geometry, Organ

CONTOUR_SAMPLES = 160


@dataclass(frozen=True)
class Plane:
    """The pixel grid of an axial plane, in mm: center of pixel (0, 0), spacing, and size, x, y."""

    origin_mm: tuple[float, float]
    spacing_mm: tuple[float, float]
    size: tuple[int, int]

    def to_pixels(self, points_mm: np.ndarray) -> np.ndarray:
        """Points (N, 2) x, y in mm as continuous pixel indices (pixel centers are integers)."""
        return (points_mm - np.array(self.origin_mm)) / np.array(self.spacing_mm)


@dataclass(frozen=True)
class PaintedBox:
    """A boolean picture of the rows and columns it covers within a plane."""

    rows: slice
    columns: slice
    inside: np.ndarray


# What a piece covers at a level, so far below its surface, in the pixels of a plane.
Section = Callable[[float, float, Plane], PaintedBox | None]


def fill_polygon(polygon: np.ndarray, size: tuple[int, int]) -> PaintedBox | None:
    """The pixels whose center lies inside `polygon` (N, 2; pixel units x, y), even-odd rule.

    Args:
        size: columns, rows of the plane.
    """
    x, y = polygon[:, 0], polygon[:, 1]
    low = np.maximum(np.ceil([x.min(), y.min()]), 0).astype(int)
    high = np.minimum(np.floor([x.max(), y.max()]), np.array(size) - 1).astype(int)
    if np.any(high < low):
        return None
    width, height = high - low + 1
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    first = np.clip(np.ceil(np.minimum(y, y_next)), low[1], high[1] + 1).astype(int)
    last = np.clip(np.ceil(np.maximum(y, y_next)), low[1], high[1] + 1).astype(int)
    counts = last - first  # scan lines that each edge crosses: y_low <= line < y_high
    edge = np.repeat(np.arange(len(x)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    crossing = x[edge] + (row - y[edge]) / (y_next - y)[edge] * (x_next - x)[edge]
    column = np.clip(np.ceil(crossing) - low[0], 0, width).astype(int)
    toggles = np.zeros((height, width + 1), dtype=np.uint8)
    np.add.at(toggles, (row - low[1], column), 1)
    inside = np.cumsum(toggles[:, :-1], axis=1, dtype=np.uint8) & 1
    return PaintedBox(slice(low[1], high[1] + 1), slice(low[0], high[0] + 1), inside.astype(bool))


def fill_discs(discs: np.ndarray, plane: Plane) -> PaintedBox | None:
    """The pixels whose center lies within any disc of `discs` (N, 3): x, y, radius in mm."""
    spacing = np.array(plane.spacing_mm)
    center = plane.to_pixels(discs[:, :2])
    reach = discs[:, 2:] / spacing
    seen = np.all((center + reach >= 0) & (center - reach <= np.array(plane.size) - 1), axis=1)
    if not seen.any():
        return None
    discs, center, reach = discs[seen], center[seen], reach[seen]
    low = np.maximum(np.floor((center - reach).min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil((center + reach).max(axis=0)), np.array(plane.size) - 1).astype(int)
    inside = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), dtype=bool)
    sizes = np.ceil(reach.max(axis=1)).astype(int)
    for size in np.unique(sizes):  # discs of one size share a stamp of candidate pixels
        offset = np.arange(-size, size + 1)
        for part in np.array_split(np.flatnonzero(sizes == size), 1 + len(discs) // 512):
            column = np.rint(center[part, 0]).astype(int)[:, None, None] + offset
            row = np.rint(center[part, 1]).astype(int)[:, None, None] + offset[:, None]
            dx = (column - center[part, 0][:, None, None]) * spacing[0]
            dy = (row - center[part, 1][:, None, None]) * spacing[1]
            hit = dx**2 + dy**2 <= discs[part, 2][:, None, None] ** 2
            hit &= (column >= low[0]) & (column <= high[0]) & (row >= low[1]) & (row <= high[1])
            row, column = np.broadcast_arrays(row, column)
            inside[row[hit] - low[1], column[hit] - low[0]] = True
    return PaintedBox(slice(low[1], high[1] + 1), slice(low[0], high[0] + 1), inside)


class Painter:
    """Paints one organ's pieces into many planes; what does not depend on z is computed once."""

    def __init__(self, organ: Organ) -> None:
        self._prepared = [(piece.z_range_mm, _prepared(piece)) for piece in organ.pieces]

    def patches(self, z_mm: float, inset_mm: float, plane: Plane) -> list[PaintedBox]:
        """What each piece covers in the plane at `z_mm`, `inset_mm` below its surface."""
        found = []
        for (low, high), section in self._prepared:
            if low + inset_mm <= z_mm <= high - inset_mm:  # caps are layered too
                found.append(section(z_mm, inset_mm, plane))
        return [patch for patch in found if patch is not None]


def _prepared(piece: Geometry) -> Section:
    if isinstance(piece, ClosedCurves):
        return partial(_section_of_curves, piece.contours())
    return partial(_section_of_spheres, piece.spheres(), piece.half_height_mm)


def _section_of_curves(
    contours: Callable[[float, int], np.ndarray], z_mm: float, inset_mm: float, plane: Plane
) -> PaintedBox | None:
    contour = contours(z_mm, CONTOUR_SAMPLES)
    if inset_mm:
        contour = _inset(contour, inset_mm)
    return fill_polygon(plane.to_pixels(contour), plane.size)


def _section_of_spheres(
    spheres: np.ndarray, half_height_mm: float, z_mm: float, inset_mm: float, plane: Plane
) -> PaintedBox | None:
    radius = spheres[:, 3] - inset_mm
    # A band: spheres stacked along z; its section keeps the full width up to its rounded ends.
    straight = max(0.0, half_height_mm - float(spheres[:, 3].max()))
    height = np.maximum(np.abs(spheres[:, 2] - z_mm) - straight, 0)
    cut = (radius > 0) & (height < radius)
    if not cut.any():
        return None
    section = np.sqrt(radius[cut] ** 2 - height[cut] ** 2)
    return fill_discs(np.column_stack([spheres[cut, :2], section]), plane)


def _inset(contour: np.ndarray, inset_mm: float) -> np.ndarray:
    """`contour` (N, 2) moved inwards along its normals by at most `inset_mm`.

    Where the contour is narrower than that it shrinks towards its centroid instead.
    """
    tangent = np.roll(contour, -1, axis=0) - np.roll(contour, 1, axis=0)
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    following = np.roll(contour, -1, axis=0)
    area = 0.5 * np.sum(contour[:, 0] * following[:, 1] - following[:, 0] * contour[:, 1])
    center = contour.mean(axis=0)
    narrow = np.linalg.norm(contour - center, axis=1).min()
    if inset_mm > 0.8 * narrow:
        return center + (contour - center) * 0.2
    return contour - np.sign(area) * inset_mm * normal
