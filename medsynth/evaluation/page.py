"""`report.html` of an evaluation: pictures first, then every figure beside its floor. One file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation import plots
from medsynth.evaluation.figures import EXPLAINED, Drawn
from medsynth.evaluation.held_out import Pairs
from medsynth.pipeline import report
from medsynth.pipeline.report.pictures import display_size, jpeg, windowed

TEMPLATE = Path(report.__file__).with_name("evaluation.html")
SHOWN = 4
SIDE = 360
Picture = tuple[str, str, bytes]  # caption, mime type, data

NOTES = {
    "two_sample": (
        "Can they be told apart?",
        "Paired two-sample test: a network learns to tell synthetic patches from the real patches "
        "at the same places and is tested on slices it has not seen. AUC 0.5: it cannot; 1: always.",
    ),
    "spectrum": (
        "Radial power spectrum",
        "Power of the synthetic slices over that of the real ones they were guided by, by frequency band "
        "in cycles per pixel. 1 is equal; above 1 at high frequencies is too much noise, below is blur.",
    ),
    "noise": (
        "Noise power spectrum",
        "Even regions of tissue, a plane taken away. The figure is the standard deviation of the noise "
        "there, synthetic over real; the picture shows whether it is as fine.",
    ),
    "histograms": (
        "Histogram of values in the body",
        "Wasserstein-1 distance between the histograms of synthetic and real slices; 0 is equal.",
    ),
    "tissues": (
        "Tissue peaks and texture",
        "How far the histogram's peak of a tissue lies above the real one; 0 is equal. Texture: standard "
        "deviation of what a Gaussian of 1.5 pixels removes.",
    ),
    "features": (
        "KID, FID, precision and recall",
        "Distances of features of 48 x 48 patches. KID, FID: 0 is equal. Precision: share of synthetic "
        "patches that look like some real one; recall: share of real ones that some synthetic one "
        "resembles; both to be read beside the floor, which is what other real slices reach.",
    ),
    "diversity": (
        "Diversity",
        "MS-SSIM between different synthetic slices, beside that of the real slices in the same pairs. "
        "Well above it means that they are too much alike.",
    ),
}


def write_page(
    path: Path,
    *,
    record: dict[str, Any],
    pairs: Pairs,
    drawn: Drawn,
    preset: Preset,
    extra: Sequence[tuple[str, str]] = (),
) -> None:
    """The page for `record`, as `figures.json` holds it; `extra`: further sections (title, HTML)."""
    sections = [_section("Look first", _slices(pairs, preset))]
    sections += [
        _figure_section(name, record["figures"][name], drawn, preset)
        for name in NOTES
        if name in record["figures"]
    ]
    sections += [_section(title, body) for title, body in extra]
    parts = {
        "title": html.escape(f"Evaluation: {preset.title}"),
        "subtitle": html.escape(_subtitle(record)),
        "floor": html.escape(f"Floor: {EXPLAINED['floor']}. Interval: {EXPLAINED['interval']}."),
        "sections": "\n".join(sections),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace(f"{{{{{name}}}}}", part)
    path.write_text(page, encoding="utf-8")


def _subtitle(record: dict[str, Any]) -> str:
    patients = record["patients"]
    who = ", ".join(patients) if len(patients) <= 4 else f"{len(patients)} patients"
    words = [record["weights"], f"{record['slices']} slices of {who}, held out of training"]
    words += [f"factor {record['factor']}", f"{record['nfe']} NFE", record["sampler"]]
    words.append(f"largest guidance error {record['guidance_error']:.2g} standard deviations")
    return " · ".join(words)


def _section(title: str, body: str) -> str:
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


def _figure_section(name: str, found: dict, drawn: Drawn, preset: Preset) -> str:
    title, note = NOTES[name]
    picture_of = {
        "spectrum": lambda: plots.overlay_spectra(drawn.spectra) if drawn.spectra else None,
        "noise": lambda: (
            plots.overlay_spectra(drawn.noise, ylabel=f"{preset.units}² · pixel²")
            if drawn.noise
            else None
        ),
        "histograms": lambda: (
            plots.overlay_histograms(drawn.histograms, preset) if drawn.histograms else None
        ),
    }.get(name, lambda: None)()
    body = [f"<p>{html.escape(note)}</p>"]
    if picture_of is not None:
        body.append(picture(f"{title}: real (black), synthetic (orange)", "image/png", picture_of))
    rows = list(_rows(name, found))
    body.append(_table(rows) if rows else "<p>Nothing to measure here in this domain.</p>")
    about = [found[key] for key in ("judge", "split") if key in found] or found.get("floor_is")
    if about:
        words = about if isinstance(about, str) else "; ".join(about)
        body.append(f'<p class="small">{html.escape(words)}.</p>')
    return _section(title, "".join(body))


def _rows(name: str, found: dict) -> Iterable[tuple[str, str, dict]]:
    """(what, where, record with value, interval, floor, floor_interval)."""
    if name == "two_sample":
        for where, test in found["windows"].items():
            yield (
                "AUC",
                where,
                {
                    "value": test["auc"],
                    "interval": test["interval"],
                    "floor": test["floor"]["auc"],
                    "floor_interval": test["floor"]["interval"],
                },
            )
            yield (
                "AUC of whole slices",
                where,
                {
                    "value": test["auc_slice"],
                    "interval": test["interval_slice"],
                    "floor": test["floor"]["auc_slice"],
                    "floor_interval": test["floor"]["interval_slice"],
                },
            )
    elif name == "spectrum":
        for where, record in found["windows"].items():
            for k, (low, high) in enumerate(found["bands_cycles_per_pixel"]):
                yield (
                    f"{low:g} to {high:g}",
                    where,
                    {key: value[k] for key, value in record.items()},
                )
    elif name == "features":
        for which, group in found["sets"].items():
            for where, record in group["windows"].items():
                for key in ("kid", "fid", "precision", "recall"):
                    what = f"{which} ({group['dimension']}): {key.upper() if 'id' in key else key}"
                    yield what, where, record[key]
    elif name == "tissues":
        for where, record in found["tissues"].items():
            yield f"peak, {found['units']}", where, record["peak"]
            if "texture" in record:
                texture = record["texture"]
                yield (
                    f"texture, {found['units']}",
                    where,
                    {
                        "value": texture["synthetic"],
                        "floor": texture["real"],
                        "floor_interval": texture["real_halves"],
                    },
                )
    elif name == "noise":
        for where, record in found["tissues"].items():
            if record is not None:
                yield "noise, synthetic over real", where, record
    else:
        unit = f", {found['units']}" if "units" in found else ""
        for where, record in found["windows"].items():
            yield f"{'distance' if unit else 'MS-SSIM'}{unit}", where, record


def _table(rows: list[tuple[str, str, dict]]) -> str:
    """One row for each figure, one column for each window or tissue; the floor under each value."""
    columns = list(dict.fromkeys(where for _, where, _ in rows))
    cells = {(what, where): _cell(record) for what, where, record in rows}
    head = "".join(f"<th>{html.escape(where)}</th>" for where in ("", *columns))
    lines = [f"<table><tr>{head}</tr>"]
    for what in dict.fromkeys(what for what, _, _ in rows):
        found = "".join(f"<td>{cells.get((what, where), '')}</td>" for where in columns)
        lines.append(f"<tr><td>{html.escape(what)}</td>{found}</tr>")
    return "\n".join([*lines, "</table>"])


def _cell(record: dict) -> str:
    floor = _number(record.get("floor"))
    value = f"<b>{_number(record['value'])}</b> {_span(record.get('interval'))}"
    return f"{value}<br><i>floor {floor} {_span(record.get('floor_interval'))}</i>"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if 0.1 <= abs(value) < 100 else f"{value:.3g}"


def _span(interval: Sequence[float] | None) -> str:
    return (
        ""
        if interval is None or None in interval
        else f"{_number(interval[0])} … {_number(interval[1])}"
    )
