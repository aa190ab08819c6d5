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
    # In reading order two crossings of a row begin and end a run of pixels.
    ends = np.sort((row - low[1]) * (width + 1) + column)
    inside = _runs(ends[::2], ends[1::2], (height, width + 1))[:, :-1]
    return PaintedBox(slice(low[1], high[1] + 1), slice(low[0], high[0] + 1), inside)


def _runs(begin: np.ndarray, end: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A picture in which pixels `begin` to `end` (not included), in reading order, are True.

    It costs what the runs' number and length are; summing toggles up costs the whole picture.
    """
    inside = np.zeros(shape, dtype=bool)
    flat = inside.reshape(-1)
    for first, last in zip(begin.tolist(), end.tolist(), strict=True):
        flat[first:last] = True
    return inside


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
    disc, row = _rows(center[:, 1], reach[:, 1], low[1], high[1])
    at, radius = center[disc, 0], discs[disc, 2]
    dy = (row - center[disc, 1]) * spacing[1]

    def hit(column: np.ndarray) -> np.ndarray:
        return ((column - at) * spacing[0]) ** 2 + dy**2 <= radius**2

    half = np.sqrt(np.maximum(radius**2 - dy**2, 0)) / spacing[0]
    left, right = np.ceil(at - half).astype(int), np.floor(at + half).astype(int)
    # Rounding may misplace an end by one: a pixel is the disc's if its own center lies within.
    left += np.where(hit(left - 1), -1, ~hit(left))
    right -= np.where(hit(right + 1), -1, ~hit(right))
    width, height = high - low + 1
    first = (row - low[1]) * width - low[0]
    begin, end = first + np.maximum(left, low[0]), first + np.minimum(right, high[0]) + 1
    some = begin < end
    inside = _runs(*_union(begin[some], end[some]), (height, width))
    return PaintedBox(slice(low[1], high[1] + 1), slice(low[0], high[0] + 1), inside)


def _union(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs that touch or overlap as one: discs along a vessel cover one another many times."""
    order = np.argsort(begin)
    begin, end = begin[order], np.maximum.accumulate(end[order])
    apart = np.ones(len(begin) + 1, dtype=bool)
    apart[1:-1] = begin[1:] > end[:-1]
    return begin[apart[:-1]], end[apart[1:]]


def _rows(
    center: np.ndarray, reach: np.ndarray, low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each disc's number once for every row that it may reach from `low` to `high`, and those rows."""
    first = np.maximum(np.floor(center - reach).astype(int), low)
    counts = np.maximum(np.minimum(np.ceil(center + reach).astype(int), high) - first + 1, 0)
    disc = np.repeat(np.arange(len(center)), counts)
    row = first[disc] + np.arange(len(disc)) - np.repeat(np.cumsum(counts) - counts, counts)
    return disc, row


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
