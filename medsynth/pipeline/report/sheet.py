"""Pictures in rows and columns on one dark page: `preview.png`, and what a factor means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medsynth.domains import Window
from medsynth.marking import png_chunks
from medsynth.pipeline.report import pictures
from medsynth.pipeline.report.axes import SliceAxes, draw_axes
from medsynth.pipeline.report.data import ReportInput

BANNER = "SYNTHETIC - NOT FOR DIAGNOSIS"
CELL = 360
GAP = 6
BACKGROUND, TEXT, FAINT, AMBER = "#101418", "#e8edf2", "#93a1ad", "#ffb000"


@dataclass(frozen=True)
class Cell:
    """One picture and the words in its corner."""

    image: Image.Image
    label: str = ""


def write_preview(data: ReportInput, path: Path | str) -> None:
    """`preview.png`: a row per window; reference, low-pass per factor, result, difference.

    Shows the slice with most lesion, the lesions outlined, and a last row that is the lesion's
    surroundings enlarged, without the outline.
    """
    k = data.key_slice
    size = pictures.display_size(data.reference.shape, data.spacing_mm, longest=CELL)
    whole = _columns(data, k, box=None)
    masks = tuple(mask[k] for mask in data.masks)
    rows = []
    for window in data.windows:
        cells = [_cell(plane, name, window, size, data) for name, plane in whole.items()]
        outlined = [
            cell if name.startswith("low-pass") else _outlined(cell, masks)
            for name, cell in zip(whole, cells, strict=True)
        ]
        rows.append(outlined)
    box = _lesion_box(data, k)
    if box is not None:
        near = _columns(data, k, box=box)
        size = pictures.display_size(near["reference"].shape, data.spacing_mm, longest=CELL)
        rows.append(
            [_cell(plane, name, data.windows[0], size, data) for name, plane in near.items()]
        )
    heads = [_head(name, data) for name in whole]
    seed = data.record.get("seed", "")
    note = f"{data.title}   slice {k + 1} of {len(data.reference)}   seed {seed}"
    sheet = _sheet(rows, heads, title=BANNER, note=note, banner=True)
    sheet.save(path, "PNG", pnginfo=png_chunks())


def write_low_pass(
    reference: np.ndarray,
    low_pass: Mapping[int, np.ndarray],
    *,
    spacing_mm: tuple[float, ...],
    windows: Sequence[Window],
    path: Path | str,
    note: str = "",
    axes: SliceAxes | None = None,
) -> None:
    """What a factor keeps of the reference: one slice, a row per window, a column per factor.

    Args:
        reference: (j, i) in physical units.
        low_pass: factor -> the reference filtered with it, (j, i).
        spacing_mm: (x, y) or (x, y, z).
        windows: display windows, one row each.
        path: PNG file to write.
        note: words below the title, such as the name of the file.
        axes: drawn over the reference, in mm and in pixels.
    """
    size = pictures.display_size(reference.shape, spacing_mm, longest=CELL)
    planes = [reference, *low_pass.values()]
    rows = [
        [Cell(_gray(plane, window, size), window.name if i == 0 else "") for i, plane in pairs]
        for window in windows
        for pairs in [list(enumerate(planes))]
    ]
    if axes is not None:
        for row in rows:
            draw_axes(row[0].image, axes)
        note = f"{note}   {axes.note}"
    # The n-th part of the cosine modes ends at a half wave of n pixels.
    heads = ["reference"] + [f"factor {n}: from {n * max(spacing_mm[:2]):.0f} mm" for n in low_pass]
    title = "What each factor keeps of the reference"
    _sheet(rows, heads, title=title, note=note, banner=False).save(path, "PNG")


def _columns(
    data: ReportInput, k: int, *, box: tuple[slice, slice] | None
) -> dict[str, np.ndarray]:
    box = box or (slice(None), slice(None))
    planes = {"reference": data.reference[k]}
    planes |= {f"low-pass {factor}": low[k] for factor, low in data.low_pass.items()}
    planes |= {"result": data.result[k], "difference": data.result[k] - data.reference[k]}
    return {name: np.asarray(plane)[box] for name, plane in planes.items()}


def _head(name: str, data: ReportInput) -> str:
    if name.startswith("low-pass"):
        return name.replace("low-pass", "reference, factor")
    limit = f"result - reference, ±{data.difference_limit:.0f} {data.units}"
    return {"result": "synthetic result", "difference": limit}.get(name, name)


def _gray(plane: np.ndarray, window: Window, size: tuple[int, int]) -> Image.Image:
    return pictures.resized(pictures.windowed(plane, window), size).convert("RGB")


def _cell(
    plane: np.ndarray, name: str, window: Window, size: tuple[int, int], data: ReportInput
) -> Cell:
    if name == "difference":
        gray = pictures.signed_gray(plane, data.difference_limit)
        return Cell(pictures.resized(pictures.signed_color(gray), size))
    return Cell(_gray(plane, window, size), window.name if name == "reference" else "")


def _outlined(cell: Cell, masks: tuple[np.ndarray, ...]) -> Cell:
    return Cell(pictures.draw_outlines(cell.image, masks), cell.label)


def _lesion_box(data: ReportInput, k: int) -> tuple[slice, slice] | None:
    """A square in mm around the lesions of slice k, three times their size; None without a lesion."""
    if not data.masks or not data.lesion_area[k]:
        return None
    rows, columns = np.nonzero(np.any([mask[k] for mask in data.masks], axis=0))
    x_mm, y_mm = data.spacing_mm[:2]
    height, width = np.ptp(rows) * y_mm, np.ptp(columns) * x_mm
    side = max(3 * max(height, width), 40.0)
    return (
        _span(rows, side / y_mm, data.reference.shape[1]),
        _span(columns, side / x_mm, data.reference.shape[2]),
    )


def _span(indices: np.ndarray, length: float, limit: int) -> slice:
    """`length` voxels around the middle of `indices`, moved to lie inside 0..limit."""
    length = min(round(length), limit)
    start = round((indices.min() + indices.max() + 1 - length) / 2)
    start = min(max(start, 0), limit - length)
    return slice(start, start + length)


def _sheet(
    rows: list[list[Cell]], heads: list[str], *, title: str, note: str, banner: bool
) -> Image.Image:
    widths = [max(row[column].image.width for row in rows) for column in range(len(heads))]
    heights = [max(cell.image.height for cell in row) for row in rows]
    top = 92
    page = Image.new(
        "RGB",
        (sum(widths) + GAP * (len(widths) + 1), top + sum(heights) + GAP * (len(heights) + 1)),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, page.width, 52), fill=AMBER if banner else "#1b232b")
    draw.text((14, 26), title, "#101418" if banner else TEXT, pictures.font(22, bold=True), "lm")
    room = page.width - 40 - draw.textlength(title, pictures.font(22, bold=True))
    note = _fitted(note, pictures.font(15), room)
    draw.text((page.width - 14, 26), note, "#101418" if banner else FAINT, pictures.font(15), "rm")
    x = GAP
    for head, width in zip(heads, widths, strict=True):
        label = _fitted(head, pictures.font(15), width)
        draw.text((x + 4, 74), label, TEXT, pictures.font(15), "lm")
        x += width + GAP
    y = top
    for row, height in zip(rows, heights, strict=True):
        x = GAP
        for cell, width in zip(row, widths, strict=True):
            page.paste(cell.image, (x + (width - cell.image.width) // 2, y))
            draw.text(
                (x + 8, y + 8),
                cell.label,
                TEXT,
                pictures.font(15),
                stroke_width=2,
                stroke_fill="black",
            )
            x += width + GAP
        y += height + GAP
    return page


def _fitted(words: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """`words`, cut with an ellipsis so that they are no wider than `room` pixels."""
    if font.getlength(words) <= room:
        return words
    while words and font.getlength(words + "...") > room:
        words = words[:-1]
    return words + "..."
