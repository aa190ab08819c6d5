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
    head = "".join(f"<th>{_breakable(name)}</th>" for name in ("", *every))
    body = "\n".join(
        f"<tr><th>{html.escape(what)}</th>"
        + "".join(f"<td>{cells.get(name, '')}</td>" for name in every)
        + "</tr>"
        for what, cells in lines.items()
    )
    return f'<table class="systems"><tr>{head}</tr>{body}</table>'


def _breakable(name: str) -> str:
    """A name that may be broken after each part, so that its column is as narrow as its figures."""
    return html.escape(name).replace("_", "_<wbr>")


def _cell(row: TableRow) -> str:
    return f"<b>{number_words(row.record['value'])}</b><br><i>{span_words(row.record.get('interval'))}</i>"


def _costs(record: dict[str, Any]) -> str:
    lines, controls = [], None
    for name, system in record["systems"].items():
        audit = system["figures"].get("memorization")
        controls = audit["controls"] if audit else controls
        seconds, memory = system["seconds_per_image"], system["memory_mb"]
        cells = (
            f"<td>{_copies(audit)}</td>",
            f"<td>{'not known' if seconds is None else f'{seconds:.2g} s'}</td>",
            f"<td>{'not known' if memory is None else f'{memory:,.0f} MB'}</td>",
            f'<td class="words">{html.escape(system["license"])}</td>',
        )
        lines.append(f"<tr><th>{_breakable(name)}</th>{''.join(cells)}</tr>")
    heads = ("", "near copies of training images", "time an image", "memory", "license")
    head = "".join(f"<th>{h}</th>" for h in heads)
    table = f'<table class="systems"><tr>{head}</tr>{"".join(lines)}</table>'
    return table + (f'<p class="small">{html.escape(_search(controls))}</p>' if controls else "")


def _copies(audit: dict[str, Any] | None) -> str:
    if not audit:
        return "not looked for"
    low, high = (100 * edge for edge in audit["interval"])
    count = f"<b>{audit['near_copies']}</b> of {audit['images']}"
    return f"{count}<br><i>{low:.0f} … {high:.0f} %</i>"


def _search(controls: dict[str, Any]) -> str:
    """What the search for near copies finds, and what it takes for one by mistake."""
    alarms = controls["false_alarms"]
    planted = "; ".join(
        f"{kind}: {of['found']} of {of['tried']}" for kind, of in controls["detection"].items()
    )
    return (
        f"Near copies: the same search took {alarms['found']} of {alarms['tried']} real images of other people "
        f"for copies, and found copies made on purpose ({planted})."
    )
