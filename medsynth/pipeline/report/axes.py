"""Where a slice lies: ticks in mm and in pixels along the edges of its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from medsynth.pipeline.report.pictures import font

COLOR = "#ffb000"
TICK, TEXT_SIZE = 6, 11
# Ticks are at least this many pixels of the picture apart.
APART = 55
STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)
LPS = "xyz"
# Cosine above which an axis of the image counts as one of the patient's.
ALONG = 0.999


@dataclass(frozen=True)
class SliceAxes:
    """A slice of `size` (columns, rows); pixel (0, 0) lies at `origin`, pixels are `step` mm apart.

    `names` are the patient's axes (x, y or z) along rows and columns; for a slice that lies along
    none of them they are "row" and "column" and mm count from the first pixel.
    """

    size: tuple[int, int]
    origin: tuple[float, float]
    step: tuple[float, float]
    names: tuple[str, str]
    note: str


def axes_of(
    size: tuple[int, int],
    *,
    first_mm: tuple[float, ...],
    direction: tuple[float, ...],
    spacing: tuple[float, ...],
) -> SliceAxes:
    """The axes of a slice whose first pixel lies at `first_mm` (LPS); as SimpleITK has the rest."""
    columns = np.reshape(direction, (3, 3)).T
    (x_name, x_origin, x_step), (y_name, y_origin, y_step) = (
        _axis(axis, unit, name, first_mm)
        for axis, unit, name in zip(columns[:2], spacing[:2], ("row", "column"), strict=True)
    )
    normal = int(np.abs(columns[2]).argmax())
    if abs(columns[2][normal]) > ALONG:
        where = f"{LPS[normal]} = {first_mm[normal]:.1f} mm"
    else:
        where = f"first pixel at {', '.join(f'{v:.1f}' for v in first_mm)} mm"
    note = f"{where}   mm (LPS {x_name}, {y_name}): bottom, left   pixels: top, right"
    return SliceAxes(size, (x_origin, y_origin), (x_step, y_step), (x_name, y_name), note)


def _axis(
    axis: np.ndarray, unit: float, name: str, first_mm: tuple[float, ...]
) -> tuple[str, float, float]:
    """What an image axis is called, where its first pixel lies on it, and its step in mm."""
    along = int(np.abs(axis).argmax())
    if abs(axis[along]) <= ALONG:
        return name, 0.0, float(unit)
    return LPS[along], float(first_mm[along]), float(np.sign(axis[along]) * unit)


def ticks(count: int, origin: float, step: float, *, length: int) -> list[tuple[float, str]]:
    """Places along an edge of `length` pixels and their labels, for `count` voxels."""
    per_unit = length / (count * abs(step))
    apart = next((each for each in STEPS if each * per_unit >= APART), STEPS[-1])
    ends = sorted((origin - step / 2, origin + (count - 0.5) * step))
    values = np.arange(np.ceil(ends[0] / apart), np.floor(ends[1] / apart) + 1) * apart
    places = ((values - origin) / step + 0.5) * length / count
    return [(float(p), f"{v:g}") for p, v in zip(places, values, strict=True)]


def draw_axes(picture: Image.Image, axes: SliceAxes) -> Image.Image:
    """`picture` (RGB) of the whole slice with its ticks drawn over the edges."""
    draw, (width, height) = ImageDraw.Draw(picture), picture.size

    def write(at: tuple[float, float], label: str, anchor: str) -> None:
        style = font(TEXT_SIZE)
        draw.text(at, label, COLOR, style, anchor=anchor, stroke_width=2, stroke_fill="black")

    (columns, rows), (x0, y0), (dx, dy) = axes.size, axes.origin, axes.step
    edges = (
        (columns, x0, dx, width, height, -1, "ms"),
        (columns, 0.0, 1.0, width, 0, 1, "mt"),
    )
    for count, origin, step, length, edge, inward, anchor in edges:
        for x, label in ticks(count, origin, step, length=length):
            draw.line([(x, edge), (x, edge + inward * TICK)], fill=COLOR)
            write((x, edge + inward * (TICK + 2)), label, anchor)
    sides = ((rows, y0, dy, 0, 1, "lm"), (rows, 0.0, 1.0, width, -1, "rm"))
    for count, origin, step, edge, inward, anchor in sides:
        for y, label in ticks(count, origin, step, length=height):
            draw.line([(edge, y), (edge + inward * TICK, y)], fill=COLOR)
            write((edge + inward * (TICK + 2), y), label, anchor)
    return picture
