"""The small parts of a mammogram's lesions: spicules, and calcifications of calcium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medsynth.images import voxel_to_mm

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectionContext

APART_MM = 0.7  # closer calcifications would be seen as one
TRIES = 40
SPICULE_MM = (0.55, 0.25)  # half thickness at the root and at the tip


def spicule_lines(context: ProjectionContext, *, count: int, length_mm: float) -> np.ndarray:
    """Strands that run out of the lesion, bend a little, thin out and fade: 0 to 0.5."""
    generator = context.generator
    lines = np.zeros_like(context.signed_mm)
    for turn in _spread(count, generator):
        way = _in_plane(context, turn)
        root = context.surface.surface_points(way[None])[0]
        reach = length_mm * (0.25 + 0.75 * generator.random() ** 1.5)
        aside = _in_plane(context, turn + np.pi / 2) * generator.normal(0, 0.28) * reach
        strength = generator.uniform(0.25, 0.5)
        part = np.linspace(-0.25, 1, max(4, int(reach / context.step_mm)))
        points = root + way * (part * reach)[:, None] + aside * (part**2)[:, None]
        for (row, column), s in zip(context.fine(points), part.clip(0), strict=True):
            half = SPICULE_MM[0] + (SPICULE_MM[1] - SPICULE_MM[0]) * s
            _blob(lines, row, column, half / context.step_mm, strength * (1 - s) ** 0.7)
    return lines


def _spread(count: int, generator: np.random.Generator) -> np.ndarray:
    """Angles all around, unevenly."""
    return (np.arange(count) + generator.uniform(-0.45, 0.45, count)) / count * 2 * np.pi


def _in_plane(context: ProjectionContext, turn: float) -> np.ndarray:
    """The unit vector (3,) at angle `turn` in the mammogram."""
    direction = np.reshape(context.sub_volume.reference.GetDirection(), (3, 3))
    return direction[:, 0] * np.cos(turn) + direction[:, 1] * np.sin(turn)


def _blob(target: np.ndarray, row: float, column: float, sigma: float, height: float) -> None:
    """A Gaussian spot, by maximum."""
    reach = int(np.ceil(2.5 * sigma))
    rows = np.arange(max(int(row) - reach, 0), min(int(row) + reach + 2, target.shape[0]))
    columns = np.arange(max(int(column) - reach, 0), min(int(column) + reach + 2, target.shape[1]))
    if not len(rows) or not len(columns):
        return
    square = (rows[:, None] - row) ** 2 + (columns - column) ** 2
    spot = height * np.exp(-square / (2 * sigma**2))
    part = target[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(part, spot, out=part)


def calcification_places(
    context: ProjectionContext, count: int, *, along_lines: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Fine-grid places (N, 2) of calcifications within the outline, and the direction (radians) of each.

    `along_lines`: in the branches of a duct, as calcifications that cast it lie.
    """
    generator = context.generator
    inside = np.argwhere(context.signed_mm < 0)
    if along_lines:
        inside = _branches(context, inside)
    places: list[np.ndarray] = []
    ways = []
    for _ in range(count):
        for _ in range(TRIES):
            row, column, *way = inside[generator.integers(len(inside))]
            place = np.array([row, column]) + generator.uniform(-0.5, 0.5, 2)
            away = [np.hypot(*(place - other)) * context.step_mm for other in places]
            if min(away, default=np.inf) > APART_MM:
                break
        places.append(place)
        ways.append(way[0] + generator.normal(0, 0.15) if way else generator.uniform(0, np.pi))
    return np.array(places), np.array(ways)


def _branches(context: ProjectionContext, inside: np.ndarray) -> np.ndarray:
    """Points (row, column, direction) of a few branching lines through the outline."""
    generator = context.generator
    middle = inside.mean(axis=0)
    half = np.sqrt(len(inside) / np.pi)
    main = generator.uniform(0, np.pi)
    found = []
    for start, turn in ((-1.0, 0.0), (-0.1, 0.5), (0.1, -0.6)):
        angle = main + turn + generator.normal(0, 0.1)
        root = middle + start * half * np.array([np.sin(main), np.cos(main)])
        for s in np.linspace(0, 2 * half, 400):
            bend = angle + 0.25 * np.sin(s / half * 2)
            place = root + s * np.array([np.sin(bend), np.cos(bend)])
            row, column = np.rint(place).astype(int)
            within = (
                0 <= row < context.signed_mm.shape[0] and 0 <= column < context.signed_mm.shape[1]
            )
            if within and context.signed_mm[row, column] < 0:
                found.append((*place, bend))
    return np.array(found)


def calcification(
    context: ProjectionContext, size_mm: float, way: float, *, form: str
) -> np.ndarray:
    """Thickness in mm of one calcification on a small fine grid of odd size, centerd.

    A ball of `size_mm`; pleomorphic ones are odd lumps of several, linear ones rods three times as
    long, amorphous ones wider and thinner.
    """
    generator = context.generator
    long = 3.0 if form == "linear" else 1.0
    reach = int(np.ceil(size_mm * max(long, 1.6) / context.step_mm)) + 1
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1] * context.step_mm
    if form == "pleomorphic":
        total = np.zeros(row.shape)
        for _ in range(int(generator.integers(2, 5))):
            shift = generator.normal(0, 0.3 * size_mm, 2)
            total = np.maximum(total, _ball(row - shift[0], column - shift[1], 0.75 * size_mm))
        return total
    if form == "linear":
        along = row * np.sin(way) + column * np.cos(way)
        across = row * np.cos(way) - column * np.sin(way)
        return _ball(across, along / long, size_mm)
    if form == "amorphous":
        return 0.6 * _ball(row / 1.4, column / 1.4, size_mm)
    return _ball(row, column, size_mm)


def _ball(row: np.ndarray, column: np.ndarray, size_mm: float) -> np.ndarray:
    """Chord in mm through a ball of diameter `size_mm`."""
    return 2 * np.sqrt(np.clip((size_mm / 2) ** 2 - row**2 - column**2, 0, None))


def paste(target: np.ndarray, place: np.ndarray, stamp: np.ndarray) -> None:
    """Add a small array to `target`, centerd on `place`, cut at the border."""
    reach = stamp.shape[0] // 2
    row, column = np.rint(place).astype(int) - reach
    rows = slice(max(row, 0), min(row + stamp.shape[0], target.shape[0]))
    columns = slice(max(column, 0), min(column + stamp.shape[1], target.shape[1]))
    part = stamp[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column]
    target[rows, columns] += part


def places_mm(context: ProjectionContext, places: np.ndarray) -> np.ndarray:
    """LPS mm (N, 3) of fine-grid places (row, column)."""
    sub_volume = context.sub_volume
    fine = np.array(sub_volume.fine[:2], dtype=float)
    index = (places[:, ::-1] + 0.5) / fine - 0.5 + np.array(sub_volume.low[:2])
    return voxel_to_mm(sub_volume.reference, np.column_stack([index, np.zeros(len(index))]))
