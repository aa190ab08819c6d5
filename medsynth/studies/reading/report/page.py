"""`report.html`: what was found in a sentence, then pictures, then every figure. One file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medsynth.domains import Window
from medsynth.marking.header import TEXT
from medsynth.pipeline.report.pictures import jpeg, windowed
from medsynth.studies.reading import pixels
from medsynth.studies.reading.design import ITEMS, MACHINE, StudyDesign
from medsynth.studies.reading.report import svg
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
        sections.append(_naive(record["naive"]))
    if record.get("between_phases"):
        rows = [
            (r["reader"], f"{r['same']} of {r['images']}", _plain(r["kappa"]))
            for r in record["between_phases"]
        ]
        table = _table(("reader", "same answer again", "Cohen's kappa"), rows)
        sections.append(_section("Read again after the washout", table))
    if design is not None:
        sections.append(_design(about))
    parts = {
        "title": html.escape(about.get("title") or "Reading study"),
        "subtitle": html.escape(_subtitle(about, record)),
        "notes": "".join(f'<p class="note">{html.escape(n)}</p>' for n in _notes(about)),
        "sections": "\n".join(sections),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for key, part in parts.items():
        page = page.replace(f"{{{{{key}}}}}", part)
    path.write_text(page, encoding="utf-8")


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
    sections = [_section(title, "".join(first))]
    sections.append(_signal(phase))
    sections.append(_images(phase, study, design))
    sections.append(_section("Each reader", _readers(phase)))
    sections.append(_parts(phase))
    sections.append(_agreement(phase))
    sections.append(_said(phase))
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
        _table(("truth", *answers), [(truth, *row.values()) for truth, row in given.items()])
    )
    if phase.get("roc"):
        these = phase["roc"]["these_readers"]
        body.append(
            '<div class="beside">'
            + svg.roc(phase["roc"]["curve"], label=f"AUC {these['value']:.2f}")
            + f"<div>{_roc_table(phase)}</div></div>"
        )
    return _section("Real and synthetic, by source", "".join(body))


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
    return _table(("", "value (95 %)"), rows) + f'<p class="small">{note}</p>'


def _finding(phase: dict[str, Any]) -> str:
    rows = [
        (name, found["images"], percent(found["called_lesion"]))
        for name, found in phase["finding"].items()
    ]
    return _section("Lesions seen", _table(("images", "number", "a lesion was seen (95 %)"), rows))


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
    return _section("The images", "".join(body))


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
    said = ", ".join(f"{v} × {k}" for k, v in found["answers"].items())
    images = "".join(
        f'<img alt="{html.escape(truth)}" src="data:image/jpeg;base64,{p}">' for p in pictures
    )
    kind = "made" if item.synthetic else "real"
    return (
        f'<figure>{images}<figcaption><b class="{kind}">{truth}</b> {html.escape(found["source"])}, '
        f"{html.escape(found['window'])}<br>{html.escape(said)}</figcaption></figure>"
    )


def _readers(phase: dict[str, Any]) -> str:
    head = (
        *("reader", "about", "answers", "right", "d'", "criterion", "sensitivity", "specificity"),
        *("AUC", "equivalence", "seconds"),
    )
    rows = []
    for r in phase["readers"]:
        about = ", ".join(
            x
            for x in (
                r["role"],
                f"{r['experience_years']} years" if r["experience_years"] else "",
                f"AI: {r['ai_knowledge']}" if r["ai_knowledge"] else "",
                f"arm {r['arm']}" if r["arm"] != "plain" else "",
            )
            if x
        )
        test = r.get("equivalence")
        rows.append(
            (
                r["reader"],
                about,
                r["answers"],
                percent(r.get("accuracy")),
                number(r.get("d_prime")),
                number(r.get("criterion")),
                percent(r.get("sensitivity")),
                percent(r.get("specificity")),
                number(r.get("auc")),
                "–"
                if not test
                else f"{'yes' if test['equivalent'] else 'no'}, {p_value(test['p'])}",
                "–" if not r["seconds"] else f"{r['seconds']['median']:.1f}",
            )
        )
    note = (
        "Right: of the answers that took a side, Wilson. Sensitivity: synthetic images recognized; "
        "specificity: real ones believed. Equivalence: exact TOST within the margin. Seconds: median."
    )
    return _table(head, rows) + f'<p class="small">{note}</p>'


def _parts(phase: dict[str, Any]) -> str:
    """By window and arm, early and late, and the time taken."""
    rows: list[tuple[Any, ...]] = []
    for title, key in (("window", "windows"), ("arm", "arms"), ("", "learning")):
        for name, part in (phase.get(key) or {}).items():
            label = f"{title} {name}".strip().replace("_", " ")
            rows.append((label, f"{part['right']} of {part['answers']}", percent(part["accuracy"])))
    body = _table(("part", "right", "share (95 %, these readers)"), rows) if rows else ""
    times = [
        (name, f"{s['median']:.1f}", f"{s['p25']:.1f} to {s['p75']:.1f}")
        for name, s in phase["seconds"].items()
        if s
    ]
    if times:
        body += _table(("images", "median seconds", "quartiles"), times)
    return _section("By window, over time, and how long it took", body) if body else ""


def _agreement(phase: dict[str, Any]) -> str:
    found = phase["agreement"]
    body = ""
    if found:
        names = {
            "observed": "same answer, share of pairs",
            "fleiss_kappa": "Fleiss' kappa",
            "krippendorff_alpha": "Krippendorff's alpha",
            "gwet_ac1": "Gwet's AC1",
        }
        body += _table(
            ("between readers", "value (95 %, over images)"),
            [(label, number(found[key])) for key, label in names.items()],
        )
        body += _table(
            ("two readers", "same answer", "Cohen's kappa"),
            [
                (" and ".join(p["readers"]), f"{p['same']} of {p['images']}", _kappa(p))
                for p in found["pairs"][:30]
            ],
        )
    if phase["with_themselves"]:
        body += _table(
            ("second showing", "same answer", "Cohen's kappa"),
            [
                (p["reader"], f"{p['same']} of {p['images']}", _kappa(p))
                for p in phase["with_themselves"]
            ],
        )
    note = (
        '<p class="small">Agreement says whether readers see the same, not whether they are right. '
        "All of it is computed from the raw answers.</p>"
    )
    return _section("Agreement", body + note) if body else ""


def _kappa(found: dict[str, Any]) -> str:
    return number({"value": found["kappa"], "low": found["low"], "high": found["high"]})


def _said(phase: dict[str, Any]) -> str:
    body = ""
    if phase["reasons"]:
        body += "<h3>Why synthetic?</h3>" + svg.bars(phase["reasons"][:12])
    if phase["remarks"]:
        body += "<h3>Remarks</h3>" + _table(
            ("reader", "truth", "answer", "remark"),
            [(r["reader"], r["truth"], r["answer"], r["remark"]) for r in phase["remarks"]],
        )
    return _section("What the readers said", body) if body else ""


def _naive(found: dict[str, Any]) -> str:
    rows = [(t, q["images"], number(q)) for t, q in found["quality"].items()]
    body = "<p>Readers did not know the purpose of this part. They rated quality from 1 to 5.</p>"
    body += _table(("images", "number", "mean quality (95 %, over images)"), rows)
    if "difference" in found:
        body += (
            f"<p>Synthetic minus real: {number(found['difference'])}; "
            f"Mann-Whitney over images: {p_value(found['mann_whitney_p'])}.</p>"
        )
    body += f"<p>Unasked, {len(found['suspected'])} remarks said that an image is not real.</p>"
    if found["diagnoses"]:
        body += _table(
            ("reader", "truth", "diagnosis or impression"),
            [(d["reader"], d["truth"], d["remark"]) for d in found["diagnoses"][:60]],
        )
    return _section("Before the readers knew", body)


def _design(about: dict[str, Any]) -> str:
    rows = [
        (
            s["name"],
            "synthetic" if s["synthetic"] else "real",
            s["people"],
            s["images"],
            s["slices"],
            s["drawn"],
            s["candidates_sha256"][:12],
        )
        for s in about["draw"]["sources"]
    ]
    head = ("source", "kind", "people", "files or series", "slices", "drawn", "list SHA-256")
    return _section(
        "How the images were chosen",
        f"<p>Drawn {html.escape(about['draw']['how'])}. Seed {about['seed']}.</p>"
        + _table(head, rows),
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>\n{body}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    return '<div class="scroll">' + "".join(lines) + "</table></div>"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
