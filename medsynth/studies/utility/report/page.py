"""`report.html`: what was found in sentences, the curve, the table, what stands behind the images. One file."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth.pages import filled, section, table
from medsynth.studies.utility.report.tables import MODE_TITLES, page_head, page_rows
from medsynth.studies.utility.report.words import plain_figure

TEMPLATE = Path(__file__).with_name("page.html")
CONTROLS = (
    "Duplicated real: the same number of real images a second time. Augmented real: the same number, turned, "
    "scaled, shifted, mirrored and brightened at random. Pasted: the lesions of the synthetic images in "
    "their references, before the network acted. As many steps: real images only, trained for as "
    "many optimizer steps. A gain that a control has too does not come from the synthetic images."
)


def page_of(record: Mapping[str, Any], curve: str) -> str:
    """The page for `record`; `curve` is the picture as SVG."""
    about = record["about"]
    parts = [section("What it shows", _found(record, curve))]
    for mode in about["modes"]:
        rows = page_rows(record, mode)
        if len(rows) > 1 or not record["comparisons"]:
            note = f'<p class="small">{CONTROLS}</p>' if len(rows) > 1 else ""
            parts.append(section(MODE_TITLES[mode], table(page_head(), rows) + note))
    if record["comparisons"]:
        parts.append(section("Against each control", _against(record)))
    if about["overuse"]:
        parts.append(section("What stands behind the synthetic images", _overuse(about)))
    parts.append(section("How it was done", _how(record)))
    named = {
        "title": html.escape(about["title"]),
        "banner": "TRAINED WITH SYNTHETIC IMAGES · TESTED ON REAL PATIENTS",
        "subtitle": html.escape(_subtitle(about)),
        "notes": "".join(f'<p class="note">{html.escape(w)}</p>' for w in about["warnings"]),
        "sections": "\n".join(parts),
    }
    return filled(TEMPLATE, named)


def _subtitle(about: Mapping[str, Any]) -> str:
    test = about["images"]["test"]
    return (
        f"{' / '.join(about['positive'])} against {' / '.join(about['negative'])}: "
        f"tested on {test['images']} images ({test['positive']} positive) of {test['patients']} patients "
        "whom no training saw"
    )


def _found(record: Mapping[str, Any], curve: str) -> str:
    words = "".join(f'<p class="lead">{html.escape(w)}</p>' for w in record["sentences"])
    picture = curve[curve.index("<svg") :]
    return (
        f'{words}<div class="curve">{picture}</div><p class="small">AUC on test patients; '
        f"bands and bars: {html.escape(record['interval'])}.</p>"
    )


def _against(record: Mapping[str, Any]) -> str:
    rows = [
        (found["name"], other["control"], plain_figure(other, sign=True))
        for found in record["comparisons"]
        for other in found["against"]
    ]
    note = (
        '<p class="small">Differences use the same resamples of patients and seeds for both. An interval '
        "above 0: better; one that holds 0: nothing is shown.</p>"
    )
    return table(("training set", "against", "difference in AUC (95 %)"), rows) + note


def _overuse(about: Mapping[str, Any]) -> str:
    head = (
        *("source", "images", "with lesion", "lesion sources", "images per lesion source"),
        *("drawn anew or not named", "reference patients", "images per patient"),
        *("nearest other image", "the same, of real ones"),
    )
    rows = [
        (
            name,
            found["images"],
            found["with_lesion"],
            found["lesion_sources"],
            _number(found["images_per_lesion_source"]),
            found["lesions_drawn_anew_or_not_named"],
            found["reference_patients"],
            _number(found["images_per_reference_patient"]),
            _similar(found["similarity_to_nearest"]),
            _similar(found["real_similarity_to_nearest"]),
        )
        for name, found in about["overuse"].items()
    ]
    note = (
        '<p class="small">At the largest size, as the first seed draws it. Nearest: correlation with the '
        "most similar other image, seen coarsely (median). Where a curve rises and then falls, look "
        "here first.</p>"
    )
    return table(head, rows) + note


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _similar(found: Mapping[str, float] | None) -> str:
    return "–" if found is None else f"{found['median']:.2f}"


def _how(record: Mapping[str, Any]) -> str:
    about = record["about"]
    images = [
        (name, counts["images"], counts["positive"], counts.get("patients", "–"))
        for name, counts in about["images"].items()
    ]
    settings = [
        (key.replace("_", " "), str(value))
        for key, value in about["settings"].items()
        if value is not None
    ]
    settings.append(("threshold", about["threshold"]))
    return table(("images", "number", "positive", "patients"), images) + table(
        ("setting", ""), settings
    )
