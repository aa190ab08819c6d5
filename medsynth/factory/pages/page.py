"""index.html of a set: look at it first. Pictures, then distributions, nearest pairs, and what failed."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medsynth.factory.layouts.base import Entry
from medsynth.factory.pages import charts, wording
from medsynth.factory.pages.facts import Facts
from medsynth.factory.pages.paths import without_folders
from medsynth.factory.store import SPLITS, DataSet
from medsynth.pages import filled
from medsynth.pipeline.report.tables import table

TEMPLATE = Path(__file__).with_name("page.html")
# A browser lays out so many pictures without delay; of a larger set every n-th is shown.
MOST_THUMBNAILS, MOST_NOTES = 2_000, 200
REPORT = "report"


def page(facts: Facts, entries: Iterable[Entry], dataset: DataSet) -> str:
    """The page as HTML; thumbnails lie in report/."""
    surveyed = list(entries)
    sections = [
        _alarms(facts["warnings"]),
        _section("Images", _wall(surveyed)),
        _section("Asked for and drawn", _distributions(surveyed, dataset)),
        _section("Splits", _splits(facts)),
        _section("Diversity", _diversity(facts, surveyed)),
        _section("Refused as near copies", _notes(dataset.refused(), "reason")),
        _section("Failed", _notes(dataset.quarantined(), "error")),
        _section("Made from", _sources(facts)),
    ]
    parts = {
        "title": html.escape(facts["name"]),
        "banner": "SYNTHETIC IMAGES",
        "subtitle": html.escape(wording.counted(facts)),
        "sections": "".join(sections),
    }
    return filled(TEMPLATE, parts)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{body}</section>"


def _alarms(words: Sequence[str]) -> str:
    if not words:
        return ""
    items = "".join(f"<li>{html.escape(each)}</li>" for each in words)
    return f'<section class="alarm"><ul>{items}</ul></section>'


def _wall(surveyed: Sequence[Entry]) -> str:
    step = -(-len(surveyed) // MOST_THUMBNAILS) or 1
    shown = surveyed[::step]
    tags = sorted({m["class"] for entry in shown for m in entry["measured"]})
    names = [
        ("all", ""),
        *((s, s) for s in SPLITS),
        ("no new lesion", "none"),
        *((t, t) for t in tags),
    ]
    buttons = "".join(
        f'<button data-show="{html.escape(tag)}" aria-pressed="{str(not tag).lower()}">'
        f"{html.escape(name.replace('_', ' '))}</button>"
        for name, tag in names
    )
    every = f"Every {step}th image is shown. " if step > 1 else ""
    return (
        f'<p class="small">{every}Outlines: first the new lesions, then labels that the reference '
        "already had. Of a volume the slice with most of the lesions is shown.</p>"
        f'<div class="filters">{buttons}</div>'
        f'<div class="wall">{"".join(map(_figure, shown))}</div>'
    )


def _figure(entry: Entry) -> str:
    classes = [m["class"] for m in entry["measured"]]
    new = [m["class"] for m in entry["measured"] if not m["existing"]]
    tags = " ".join([entry["split"], *classes, *([] if new else ["none"])])
    words = (
        ", ".join(c.removeprefix("lesion_").replace("_", " ") for c in classes) or "no new lesion"
    )
    return (
        f'<figure data-tags="{html.escape(tags)}">{_picture(entry)}'
        f"<figcaption>{entry['id']} {entry['split']}<br>{html.escape(words)}</figcaption></figure>"
    )


def _picture(entry: Entry) -> str:
    return f'<img loading="lazy" src="{REPORT}/{entry["thumbnail"]}" alt="image {entry["id"]}">'


def _distributions(surveyed: Sequence[Entry], dataset: DataSet) -> str:
    drawn = [m for entry in surveyed for m in entry["measured"] if not m["existing"]]
    made = {entry["id"] for entry in surveyed}
    asked = [e for row in dataset.rows() if row.id in made for e in row.lesions]
    kinds_asked = _count("lesion_" + str(e.get("kind")) for e in asked)
    kinds = _count(m["class"] for m in drawn)
    contrast = [m["contrast"] for m in drawn if m.get("contrast") is not None]
    unit = dataset.preset.units
    groups = (
        (
            "Diameter",
            charts.histogram(
                _numbers(asked, "diameter_mm"), _numbers(drawn, "diameter_mm"), unit="mm"
            ),
        ),
        ("Kind", charts.bars(kinds_asked, kinds)),
        (
            "Contrast: mean within the mask less around it",
            charts.histogram([], contrast, unit=unit),
        ),
        (
            "Lesions per image",
            charts.bars(
                _count(str(len(r.lesions)) for r in dataset.rows() if r.id in made),
                _count(
                    str(sum(not m["existing"] for m in entry["measured"])) for entry in surveyed
                ),
            ),
        ),
        (
            "Place in the picture (drawn)",
            charts.places([(m["place"][0], m["place"][1]) for m in drawn if "place" in m]),
        ),
        (
            "Distance from the place asked for",
            charts.histogram([], _distances(surveyed, dataset), unit="mm"),
        ),
    )
    cells = "".join(f"<div><h3>{html.escape(name)}</h3>{chart}</div>" for name, chart in groups)
    return f'<p class="small">{charts.legend()}</p><div class="charts">{cells}</div>'


def _distances(surveyed: Sequence[Entry], dataset: DataSet) -> list[float]:
    """From each lesion's center as asked for to its mask's centroid."""
    centers = {
        row.id: [e.get("center_mm") for e in row.lesions] for row in dataset.rows() if row.lesions
    }
    found = []
    for entry in surveyed:
        lesions = entry["record"]["lesions"]
        for asked, lesion in zip(centers.get(entry["id"], ()), lesions, strict=False):
            there = lesion.get("centroid_mm")
            if asked and there:
                squares = ((a - b) ** 2 for a, b in zip(asked, there, strict=True))
                found.append(sum(squares) ** 0.5)
    return found


def _numbers(records: Iterable[Any], key: str) -> list[float]:
    return [float(r[key]) for r in records if r.get(key) is not None]


def _count(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))


def _splits(facts: Facts) -> str:
    rows = [
        (split, part["images"], part["anatomies"], part["with_lesions"])
        for split, part in facts["splits"].items()
    ]
    return table(rows, head=("split", "images", "anatomies", "with lesions"))


def _diversity(facts: Facts, surveyed: Sequence[Entry]) -> str:
    found = facts["diversity"]
    rows: list[tuple[Any, ...]] = [
        ("unique anatomies", found["unique_anatomies"]),
        ("unique patients or drawn persons", found["unique_patients"]),
        ("lesions drawn anew", found["lesions_drawn_anew"]),
        ("annotated studies that lesions come from", found["lesions_taken_from"]),
    ]
    for key in ("nearest_of_another_anatomy", "nearest_of_the_same_anatomy"):
        values = ", ".join(f"{name} {value}" for name, value in (found.get(key) or {}).items())
        rows.append((key.replace("_", " "), values or "-"))
    by_id = {entry["id"]: entry for entry in surveyed}
    return (
        table(rows)
        + f'<p class="small">{html.escape(str(found.get("how", "")))}; 1 is the same picture.</p>'
        + "<h3>Nearest pairs of different anatomies</h3>"
        + _pairs(found["pairs"], by_id)
        + "<h3>Nearest pairs across splits</h3>"
        + _pairs(found["across_splits"], by_id)
    )


def _pairs(pairs: Sequence[Any], by_id: dict[str, Entry]) -> str:
    if not pairs:
        return '<p class="none">None.</p>'
    cells = ""
    for pair in pairs:
        both = "".join(f"<figure>{_picture(by_id[name])}</figure>" for name in pair["images"])
        words = f"{pair['similarity']:.3f}: {' and '.join(pair['images'])}"
        cells += f'<div class="pair">{both}<p>{words}</p></div>'
    return f'<div class="pairs">{cells}</div>'


def _notes(notes: Iterable[dict[str, Any]], key: str) -> str:
    listed = list(notes)
    if not listed:
        return '<p class="none">None.</p>'
    rows = [
        (
            note["id"],
            without_folders(str(note.get(key, "-"))),
            note.get("similarity", note.get("attempts", "-")),
        )
        for note in listed[:MOST_NOTES]
    ]
    more = len(listed) - len(rows)
    rest = f'<p class="small">and {more:,} more</p>' if more else ""
    return table(rows, head=("image", key, "similarity or attempts")) + rest


def _sources(facts: Facts) -> str:
    weights = [(w["name"], w["sha256"], w["images"]) for w in facts["weights"]]
    licenses = [(e["what"], e["license"], e["images"]) for e in facts["licenses"]]
    sources = [
        (e["source"], e["images"], e["lesions"], f"{100 * e['share']:.1f} %")
        for e in facts["lesion_sources"][:MOST_NOTES]
    ]
    groups = [
        (group, ", ".join(f"{name}: {n:,}" for name, n in counts.items()))
        for group, counts in facts["subgroups"].items()
    ]
    return (
        table(weights, head=("network", "SHA-256", "images"))
        + "<br>"
        + table(licenses, head=("of", "license", "images"))
        + "<br>"
        + table(sources, head=("lesion source", "images", "lesions", "share of images"))
        + "<br>"
        + table(groups, head=("subgroup", "images"))
    )
