"""The sections of the page below its pictures: readers, parts, agreement, words, the draw."""

from __future__ import annotations

import html
from typing import Any

from medsynth.pages import section, table
from medsynth.studies.reading.report import svg
from medsynth.studies.reading.report.parts import kappa, said_as
from medsynth.studies.reading.report.words import number, p_value, percent


def readers(phase: dict[str, Any]) -> str:
    """One row for each reader."""
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
    return table(head, rows) + f'<p class="small">{note}</p>'


def parts_of(phase: dict[str, Any]) -> str:
    """By window and arm, early and late, and the time taken."""
    rows: list[tuple[Any, ...]] = []
    for title, key in (("window", "windows"), ("arm", "arms"), ("", "learning")):
        for name, part in (phase.get(key) or {}).items():
            label = f"{title} {name}".strip().replace("_", " ")
            rows.append((label, f"{part['right']} of {part['answers']}", percent(part["accuracy"])))
    body = table(("part", "right", "share (95 %, these readers)"), rows) if rows else ""
    times = [
        (name, f"{s['median']:.1f}", f"{s['p25']:.1f} to {s['p75']:.1f}")
        for name, s in phase["seconds"].items()
        if s
    ]
    if times:
        body += table(("images", "median seconds", "quartiles"), times)
    return section("By window, over time, and how long it took", body) if body else ""


def agreement(phase: dict[str, Any]) -> str:
    """Between readers, of each two, and with themselves."""
    found = phase["agreement"]
    body = ""
    if found:
        names = {
            "observed": "same answer, share of pairs",
            "fleiss_kappa": "Fleiss' kappa",
            "krippendorff_alpha": "Krippendorff's alpha",
            "gwet_ac1": "Gwet's AC1",
        }
        body += table(
            ("between readers", "value (95 %, over images)"),
            [(label, number(found[key])) for key, label in names.items()],
        )
        body += table(
            ("two readers", "same answer", "Cohen's kappa"),
            [
                (" and ".join(p["readers"]), f"{p['same']} of {p['images']}", kappa(p))
                for p in found["pairs"][:30]
            ],
        )
    if phase["with_themselves"]:
        body += table(
            ("second showing", "same answer", "Cohen's kappa"),
            [
                (p["reader"], f"{p['same']} of {p['images']}", kappa(p))
                for p in phase["with_themselves"]
            ],
        )
    note = (
        '<p class="small">Agreement says whether readers see the same, not whether they are right. '
        "All of it is computed from the raw answers.</p>"
    )
    return section("Agreement", body + note) if body else ""


def said(phase: dict[str, Any]) -> str:
    """Reasons and remarks."""
    body = ""
    if phase["reasons"]:
        body += "<h3>Why synthetic?</h3>" + svg.bars(phase["reasons"][:12])
    if phase["remarks"]:
        body += "<h3>Remarks</h3>" + table(
            ("reader", "truth", "answer", "remark"),
            [
                (r["reader"], r["truth"], said_as(r["answer"]), r["remark"])
                for r in phase["remarks"]
            ],
        )
    return section("What the readers said", body) if body else ""


def naive(found: dict[str, Any]) -> str:
    """The phase whose purpose readers did not know."""
    rows = [(t, q["images"], number(q)) for t, q in found["quality"].items()]
    body = "<p>Readers did not know the purpose of this part. They rated quality from 1 to 5.</p>"
    body += table(("images", "number", "mean quality (95 %, over images)"), rows)
    if "difference" in found:
        body += (
            f"<p>Synthetic minus real: {number(found['difference'])}; "
            f"Mann-Whitney over images: {p_value(found['mann_whitney_p'])}.</p>"
        )
    body += f"<p>Unasked, {len(found['suspected'])} remarks said that an image is not real.</p>"
    if found["diagnoses"]:
        body += table(
            ("reader", "truth", "diagnosis or impression"),
            [(d["reader"], d["truth"], d["remark"]) for d in found["diagnoses"][:60]],
        )
    return section("Before the readers knew", body)


def design_section(about: dict[str, Any]) -> str:
    """What there was to draw from, and how it was drawn."""
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
    return section(
        "How the images were chosen",
        f"<p>Drawn {html.escape(about['draw']['how'])}. Seed {about['seed']}.</p>"
        + table(head, rows),
    )
