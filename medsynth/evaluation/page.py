"""`report.html` of an evaluation: pictures first, then every figure beside its floor. One file."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation.figures import EXPLAINED, PlotData
from medsynth.evaluation.held_out import Pairs
from medsynth.evaluation.metrics.base import Metric, TableRow
from medsynth.evaluation.names import METRICS
from medsynth.pages import filled
from medsynth.pipeline import report
from medsynth.pipeline.report.pictures import display_size, jpeg, windowed

TEMPLATE = Path(report.__file__).with_name("evaluation.html")
SHOWN = 4
SIDE = 360
Picture = tuple[str, str, bytes]  # caption, mime type, data


def write_page(
    path: Path,
    *,
    record: dict[str, Any],
    pairs: Pairs,
    drawn: PlotData,
    preset: Preset,
    extra: Sequence[tuple[str, str]] = (),
) -> None:
    """The page for `record`, as `figures.json` holds it; `extra`: further sections (title, HTML)."""
    sections = [section("Look first", _slices(pairs, preset))]
    sections += [
        _metric_section(entry.load(), record["figures"][name], drawn.get(name), preset)
        for name, entry in METRICS.items()
        if name in record["figures"]
    ]
    sections += [section(title, body) for title, body in extra]
    parts = {
        "title": html.escape(f"Evaluation: {preset.title}"),
        "banner": "SYNTHETIC IMAGES BESIDE REAL ONES",
        "subtitle": html.escape(_subtitle(record)),
        "floor": html.escape(f"Floor: {EXPLAINED['floor']}. Interval: {EXPLAINED['interval']}."),
        "sections": "\n".join(sections),
    }
    path.write_text(filled(TEMPLATE, parts), encoding="utf-8")


def _subtitle(record: dict[str, Any]) -> str:
    patients = record["patients"]
    who = ", ".join(patients) if len(patients) <= 4 else f"{len(patients)} patients"
    words = [record["weights"], f"{record['slices']} slices of {who}, held out of training"]
    words += [f"factor {record['factor']}", f"{record['nfe']} NFE", record["sampler"]]
    words.append(f"largest guidance error {record['guidance_error']:.2g} standard deviations")
    return " · ".join(words)


def section(title: str, body: str) -> str:
    """A part of the page under a heading."""
    return f"<section><h2>{html.escape(title)}</h2>\n{body}</section>"


def picture(caption: str, mime: str, data: bytes) -> str:
    """A picture inside the page."""
    text = html.escape(caption)
    source = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'


def _slices(pairs: Pairs, preset: Preset) -> str:
    """Real and synthetic side by side, in every window, for a few slices spread evenly."""
    count = min(SHOWN, len(pairs.real))
    chosen = np.linspace(0, len(pairs.real) - 1, count + 2).round().astype(int)[1:-1]
    size = display_size(pairs.real.shape, (1.0, 1.0), longest=SIDE)
    rows = []
    for k in dict.fromkeys(chosen.tolist()):
        for window in preset.windows:
            cells = [
                picture(
                    f"{name}, {window.name}",
                    "image/jpeg",
                    jpeg(windowed(planes[k], window), size, quality=85),
                )
                for name, planes in (("real", pairs.real), ("synthetic", pairs.synthetic))
            ]
            rows.append(f'<div class="pair">{"".join(cells)}</div>')
    return f'<div class="pairs">{"".join(rows)}</div>'


def _metric_section(
    metric: Metric, found: dict[str, Any], curves: dict[str, Any] | None, preset: Preset
) -> str:
    body = [f"<p>{html.escape(metric.note)}</p>"]
    if metric.picture is not None and curves:
        caption = f"{metric.title}: real (black), synthetic (orange)"
        body.append(picture(caption, "image/png", metric.picture(curves, preset)))
    rows = list(metric.rows(found))
    body.append(_table(rows) if rows else "<p>Nothing to measure here in this domain.</p>")
    about = [found[key] for key in ("discriminator", "split") if key in found] or found.get(
        "floor_is"
    )
    if about:
        words = about if isinstance(about, str) else "; ".join(about)
        body.append(f'<p class="small">{html.escape(words)}.</p>')
    return section(metric.title, "".join(body))


def _table(rows: list[TableRow]) -> str:
    """One row for each figure, one column for each window or tissue; the floor under each value."""
    columns = list(dict.fromkeys(row.where for row in rows))
    cells = {(row.what, row.where): _cell(row.record) for row in rows}
    head = "".join(f"<th>{html.escape(where)}</th>" for where in ("", *columns))
    lines = [f"<table><tr>{head}</tr>"]
    for what in dict.fromkeys(row.what for row in rows):
        found = "".join(f"<td>{cells.get((what, where), '')}</td>" for where in columns)
        lines.append(f"<tr><td>{html.escape(what)}</td>{found}</tr>")
    return "\n".join([*lines, "</table>"])


def _cell(record: Mapping[str, Any]) -> str:
    floor = number_words(record.get("floor"))
    value = f"<b>{number_words(record['value'])}</b> {span_words(record.get('interval'))}"
    return f"{value}<br><i>floor {floor} {span_words(record.get('floor_interval'))}</i>"


def number_words(value: float | None) -> str:
    """A figure with as many digits as can be read; empty for none."""
    if value is None:
        return ""
    return f"{value:.2f}" if 0.1 <= abs(value) < 100 else f"{value:.3g}"


def span_words(interval: Sequence[float] | None) -> str:
    """An interval; empty for none."""
    return (
        ""
        if interval is None or None in interval
        else f"{number_words(interval[0])} … {number_words(interval[1])}"
    )
