"""`compare.html`: a grid of each system's images, then one table with every figure of every system."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation.metrics.base import TableRow
from medsynth.evaluation.names import METRICS
from medsynth.evaluation.page import TEMPLATE, number_words, picture, section, span_words
from medsynth.pages import filled
from medsynth.pipeline.report.pictures import jpeg, windowed

SHOWN, ACROSS, SIDE = 12, 6, 150


def write_comparison_page(
    path: Path, *, record: dict[str, Any], parts: Mapping[str, np.ndarray], preset: Preset
) -> None:
    """The page of `record`, as compare.json holds it; `parts` are the images (N, H, W) by name."""
    sections = [section("Look first", _grids(parts, record, preset))]
    sections.append(section("Figures", _figures(record)))
    sections.append(section("Copies, time, license", _costs(record)))
    filling = {
        "title": html.escape(f"Image systems compared: {preset.title}"),
        "subtitle": html.escape(f"{record['images_of_each']} images of each"),
        "banner": "SYNTHETIC IMAGES BESIDE REAL ONES",
        "floor": html.escape(f"Floor: {record['floor']}. Intervals: 95 %, bootstrap over images."),
        "sections": "\n".join(sections),
    }
    path.write_text(filled(TEMPLATE, filling), encoding="utf-8")


def _grids(parts: Mapping[str, np.ndarray], record: dict[str, Any], preset: Preset) -> str:
    """The first images of each part, none left out."""
    figures = []
    for name, images in parts.items():
        tiles = [windowed(plane, preset.windows[0]) for plane in images[:SHOWN]]
        rows = [tiles[k : k + ACROSS] for k in range(0, len(tiles), ACROSS)]
        blank = np.zeros_like(tiles[0])
        full = [row + [blank] * (ACROSS - len(row)) for row in rows]
        sheet = np.vstack([np.hstack(row) for row in full])
        shown = jpeg(sheet, (SIDE * ACROSS, SIDE * len(rows)), quality=85)
        system = record["systems"].get(name)
        size = f", made at {system['pixels']} pixels" if system else ""
        figures.append(picture(f"{name}: the first {len(tiles)}{size}", "image/jpeg", shown))
    return "".join(figures)


def _figures(record: dict[str, Any]) -> str:
    """A line for each system, the floor last; a column for each figure."""
    lines: dict[str, dict[str, str]] = {}
    every = {name: s["figures"] for name, s in record["systems"].items()}
    every["floor (real)"] = record["real"]["figures"]
    for name, found in every.items():
        for metric, entry in METRICS.items():
            if metric in found:
                for row in entry.load().rows(found[metric]):
                    column = f"{row.what}, {row.where}"
                    lines.setdefault(column, {})[name] = _cell(row)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *every))
    body = "\n".join(
        f"<tr><td>{html.escape(what)}</td>"
        + "".join(f"<td>{cells.get(name, '')}</td>" for name in every)
        + "</tr>"
        for what, cells in lines.items()
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(row: TableRow) -> str:
    return f"<b>{number_words(row.record['value'])}</b> {span_words(row.record.get('interval'))}"


def _costs(record: dict[str, Any]) -> str:
    lines = []
    for name, system in record["systems"].items():
        audit = system["figures"].get("memorization")
        copies = f"{audit['near_copies']} of {audit['images']}" if audit else "not looked for"
        seconds, memory = system["seconds_per_image"], system["memory_mb"]
        cells = (
            name,
            copies,
            "not known" if seconds is None else f"{seconds:.2g} s",
            "not known" if memory is None else f"{memory:,.0f} MB",
            system["license"],
        )
        lines.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
    heads = ("", "near copies of training images", "time an image", "memory", "license")
    head = "".join(f"<th>{h}</th>" for h in heads)
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"
