"""`report.html`: what was found in a sentence, then pictures, then every figure. One file."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

from medsynth.domains import Window
from medsynth.marking.header import TEXT
from medsynth.pages import filled, section, table
from medsynth.pipeline.report.pictures import jpeg, windowed
from medsynth.studies.reading import pixels
from medsynth.studies.reading.design import ITEMS, MACHINE, StudyDesign
from medsynth.studies.reading.report import svg
from medsynth.studies.reading.report.parts import plain, said_as
from medsynth.studies.reading.report.sections import (
    agreement,
    design_section,
    naive,
    parts_of,
    readers,
    said,
)
from medsynth.studies.reading.report.words import headline, number, p_value, percent

TEMPLATE = Path(__file__).with_name("page.html")
SHOWN, THUMBNAIL = 6, 260


def write_page(
    path: Path, record: dict[str, Any], *, study: Path | None, design: StudyDesign | None
) -> None:
    """The page for `record`; pictures where the study folder is at hand."""
    about = record["about"]
    sections = []
    for name, phase in record["phases"].items():
        if phase.get("answers"):
            sections += _phase(name, phase, study, design)
    if "naive" in record:
        sections.append(naive(record["naive"]))
    if record.get("between_phases"):
        rows = [
            (r["reader"], f"{r['same']} of {r['images']}", plain(r["kappa"]))
            for r in record["between_phases"]
        ]
        again = table(("reader", "same answer again", "Cohen's kappa"), rows)
        sections.append(section("Read again after the washout", again))
    if design is not None:
        sections.append(design_section(about))
    parts = {
        "title": html.escape(about.get("title") or "Reading study"),
        "banner": "SYNTHETIC IMAGES BESIDE REAL ONES",
        "subtitle": html.escape(_subtitle(about, record)),
        "notes": "".join(f'<p class="note">{html.escape(n)}</p>' for n in _notes(about)),
        "sections": "\n".join(sections),
    }
    path.write_text(filled(TEMPLATE, parts), encoding="utf-8")


def _subtitle(about: dict[str, Any], record: dict[str, Any]) -> str:
    phases = [p for p in record["phases"].values() if p.get("answers")]
    words = []
    if phases:
        count = sum(r["arm"] != MACHINE for r in phases[0]["readers"])
        words.append(f"{count} reader{'s' * (count != 1)}, {phases[0]['images']} images")
    if about.get("closed"):
        words.append(f"closed {about['closed'][:10]}")
    if about.get("design_sha256"):
        words.append(f"design SHA-256 {about['design_sha256'][:12]}, unchanged since creation")
    return " · ".join(words)


def _notes(about: dict[str, Any]) -> list[str]:
    notes = []
    if about.get("created") and not about.get("closed"):
        notes.append(
            "INTERIM: the study is still open. Figures that were looked at early can mislead."
        )
    if about.get("closed") and about["interim_looks"]:
        notes.append(
            f"The figures were looked at {len(about['interim_looks'])} times before the end."
        )
    if about.get("left_when_closed"):
        left = ", ".join(f"{k} {v}" for k, v in about["left_when_closed"].items())
        notes.append(f"Closed with images left: {left}.")
    if about.get("answers_changed_after_closing"):
        notes.append(
            "The answers were changed after the study had been closed. Do not rely on them."
        )
    return notes + [f"Possible giveaway: {g}" for g in about.get("giveaways", ())]


def _phase(
    name: str, phase: dict[str, Any], study: Path | None, design: StudyDesign | None
) -> list[str]:
    first = [f'<p class="lead">{html.escape(line)}</p>' for line in headline(phase)]
    first += [f'<p class="note">{html.escape(w)}</p>' for w in phase["warnings"]]
    rows = _forest_rows(phase)
    if rows:
        margin = phase["accuracy"]["equivalence"]["margin"]
        first.append(svg.forest(rows, chance=0.5, margin=margin, title="share of right answers"))
        first.append(
            f'<p class="small">Share of right answers with 95 % intervals. Dashed: chance. Shaded: '
            f"&plusmn;{100 * margin:.0f} points, fixed before the first answer. A reader: Wilson. "
            "These readers: other images might have been drawn. Any readers: other readers, too "
            "(Obuchowski and Rockette, with Hillis' degrees of freedom). "
            f"{_bootstrap(phase)}</p>"
        )
    title = "What the readers saw" if name == "informed" else f"What the readers saw: {name}"
    sections = [section(title, "".join(first))]
    sections.append(_signal(phase))
    sections.append(_images(phase, study, design))
    sections.append(section("Each reader", readers(phase)))
    sections.append(parts_of(phase))
    sections.append(agreement(phase))
    sections.append(said(phase))
    return [s for s in sections if s]


def _bootstrap(phase: dict[str, Any]) -> str:
    boot = phase["accuracy"]["bootstrap"]
    effect = phase["accuracy"]["design_effect"]
    words = f"Bootstrap over readers and images: {percent(boot)}."
    if effect:
        words += (
            f" Design effect {effect:.2f}: as good as {1 / effect:.2f} independent answers each."
        )
    return words


def _forest_rows(phase: dict[str, Any]) -> list[svg.ForestRow]:
    if "accuracy" not in phase:
        return []

    def row(label: str, figure: dict[str, Any], *, strong: bool = False) -> svg.ForestRow:
        return svg.ForestRow(
            label, figure["value"], figure["low"], figure["high"], percent(figure), strong
        )

    rows = [
        row(r["reader"] + ("" if r["arm"] == "plain" else f" ({r['arm']})"), r["accuracy"])
        for r in phase["readers"]
        if "accuracy" in r
    ]
    pooled = phase["accuracy"]
    if len(rows) > 1:
        rows.append(row("These readers", pooled["these_readers"], strong=True))
    if pooled["any_readers"]:
        rows.append(row("Any readers", pooled["any_readers"], strong=True))
    if phase["unsure"]:
        half = phase["accuracy_unsure_half"]["these_readers"]
        rows.append(row("Unsure as half right", half))
    return rows


def _signal(phase: dict[str, Any]) -> str:
    """Sources, d' and the ROC curve, side by side."""
    if not phase.get("sources"):
        return _finding(phase) if phase.get("finding") else ""
    rows = [
        svg.ForestRow(
            f"{name} ({found['truth']})",
            found["called_synthetic"]["value"],
            found["called_synthetic"]["low"],
            found["called_synthetic"]["high"],
            percent(found["called_synthetic"]),
            strong=found["truth"] == "real",
        )
        for name, found in phase["sources"].items()
    ]
    body = [svg.forest(rows, chance=None, margin=None, title="called synthetic")]
    body.append(
        '<p class="small">How often the images of each source were called synthetic (unsure answers '
        "left out). Sources that readers cannot tell apart have the same share.</p>"
    )
    for pair in phase.get("generators", ()):
        a, b = (html.escape(g) for g in pair["generators"])
        body.append(
            f"<p>{a} against {b}: {number(pair['difference'])} difference in share, "
            f"{p_value(pair['p'])} (Welch, over images).</p>"
        )
    given = phase["given"]
    answers = list(next(iter(given.values())))
    body.append(
        table(
            ("truth", *map(said_as, answers)),
            [(truth, *row.values()) for truth, row in given.items()],
        )
    )
    if phase.get("roc"):
        these = phase["roc"]["these_readers"]
        body.append(
            '<div class="beside">'
            + svg.roc(phase["roc"]["curve"], label=f"AUC {these['value']:.2f}")
            + f"<div>{_roc_table(phase)}</div></div>"
        )
    return section("Real and synthetic, by source", "".join(body))


def _roc_table(phase: dict[str, Any]) -> str:
    roc = phase["roc"]
    rows = [
        ("AUC, these readers (DeLong)", number(roc["these_readers"])),
        ("AUC, any readers (Obuchowski and Rockette)", number(roc["any_readers"])),
        ("AUC, any readers (U-statistic)", number(roc["u_statistic"])),
    ]
    found = phase.get("detection")
    if found:
        for key, label in (("d_prime", "d'"), ("criterion", "criterion")):
            rows.append((f"{label}, these readers", number(found[key]["these_readers"])))
            rows.append((f"{label}, any readers", number(found[key]["any_readers"])))
    note = (
        "AUC: from the side taken and how sure. d' 0 and AUC 0.5: nothing is seen. Criterion below 0: "
        "leaning to synthetic; a reader who always says synthetic is right half of the time with d' 0."
    )
    return table(("", "value (95 %)"), rows) + f'<p class="small">{note}</p>'


def _finding(phase: dict[str, Any]) -> str:
    rows = [
        (
            *(name, found["images"], percent(found["called_lesion"])),
            percent(found.get("found_at_place")),
        )
        for name, found in phase["finding"].items()
    ]
    head = ("images", "number", "a lesion was seen (95 %)", "and marked where it is (95 %)")
    return section("Lesions seen", table(head, rows))


def _images(phase: dict[str, Any], study: Path | None, design: StudyDesign | None) -> str:
    """The images that fooled most readers, and fewest."""
    items = [i for i in phase["items"] if i["of"]]
    if not items or study is None or design is None:
        return ""
    fooled = [i for i in items if i["wrong"]][:SHOWN]
    shown = {i["item"] for i in fooled}
    clear = [i for i in reversed(items) if not i["wrong"] and i["item"] not in shown][:SHOWN]
    body = []
    for title, part in (("Fooled most readers", fooled), ("Fooled none", clear)):
        if part:
            cells = "".join(_picture(i, study, design) for i in part)
            body.append(f'<h3>{title}</h3><div class="gallery">{cells}</div>')
    return section("The images", "".join(body))


def _picture(found: dict[str, Any], study: Path, design: StudyDesign) -> str:
    item = design.index[found["item"]]
    window = design.windows[item.window]
    shown = Window(window.name, window.center, window.width)
    pictures = []
    for name in item.files:
        values = pixels.from_bytes((study / ITEMS / name).read_bytes(), design.grid)
        gray = windowed(values[len(values) // 2], shown)
        data = jpeg(gray, (THUMBNAIL, THUMBNAIL), quality=85, comment=TEXT.encode())
        pictures.append(base64.b64encode(data).decode())
    truth = "pair" if len(item.files) > 1 else "SYNTHETIC" if item.synthetic else "REAL"
    said = ", ".join(f"{v} × {said_as(k)}" for k, v in found["answers"].items())
    images = "".join(
        f'<img alt="{html.escape(truth)}" src="data:image/jpeg;base64,{p}">' for p in pictures
    )
    kind = "made" if item.synthetic else "real"
    return (
        f'<figure>{images}<figcaption><b class="{kind}">{truth}</b> {html.escape(found["source"])}, '
        f"{html.escape(found['window'])}<br>{html.escape(said)}</figcaption></figure>"
    )
