"""Sections of the evaluation's page: what was copied, and whether nodules were found."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.evaluation.page import picture
from medsynth.pipeline.report.pictures import display_size, jpeg

SIDE = 760


def unguided_section(
    images: np.ndarray, *, preset: Preset, low_pass: str | None
) -> tuple[str, str]:
    """Title and HTML: the free samples (N, H, W) in physical units, each in every window."""
    windows = ", ".join(window.name for window in preset.windows)
    source = f"; their low-pass images were drawn by {low_pass}" if low_pass else ""
    body = [f"<p>Unconditional{html.escape(source)}. Windows: {html.escape(windows)}.</p>"]
    for index, image in enumerate(images):
        row = np.hstack([window.to_8_bit(image) for window in preset.windows])
        body.append(_picture(f"sample {index + 1}", row))
    return "Unguided samples", "".join(body)


def memorization_section(
    figure: dict[str, Any], pictures: dict[str, list[np.ndarray]]
) -> tuple[str, str]:
    """Title and HTML: verdict, controls, and the worst pairs, sample left and training image right."""
    alarms = figure["controls"]["false_alarms"]
    detection = "; ".join(
        f"{kind}: {rates['found']} of {rates['tried']}"
        for kind, rates in figure["controls"]["detection"].items()
    )
    body = [
        f"<p>{html.escape(figure['what'])}.</p>",
        f"<p>Compared with {figure['training_images']} images of {figure['training_patients']} "
        f"patients. Controls: {alarms['found']} of {alarms['tried']} real images of another patient "
        f"were called copies; of real copies were found: {html.escape(detection)}.</p>",
    ]
    for kind, record in figure["samples"].items():
        low, high = record["interval"]
        body.append(
            f"<p><b>{html.escape(kind)}: {record['near_copies']} of {record['samples']} are near "
            f"copies</b> (95 %: {low:.0%} to {high:.0%})</p>"
        )
        rows = [
            (name, m["value"], m["largest"], m["floor"], m["floor_largest"], m["threshold"])
            for name, m in record["measures"].items()
        ]
        head = ("measure", "median", "largest", "real: median", "real: largest", "threshold")
        body.append(_table(head, rows))
        for worst, pair in zip(record["worst"], pictures.get(kind, []), strict=False):
            caption = (
                f"sample {worst['sample'] + 1} | {worst['training_image']}: {worst['measure']}, "
                f"similarity {worst['similarity']:.2f} (threshold {worst['threshold']:.2f})"
            )
            body.append(_picture(caption, pair))
    return "Does it copy its training images?", "".join(body)


def nodules_section(figure: dict[str, Any], pictures: Sequence[np.ndarray]) -> tuple[str, str]:
    """Title and HTML: the share found, by kind and size, and pictures of what was not."""
    low, high = figure["interval_95"]
    ratio = figure["diameter_ratio"]
    body = [
        "<p>Nodules asked for at random places in the lung of held-out patients. The difference to the "
        "same sample without the nodule, above half of the nodule's contrast: found, if its centroid "
        "lies in the region asked for and its diameter is within 25 %.</p>",
        f"<p><b>{figure['found']} of {figure['requests']} found</b> (95 %: {low:.0%} to {high:.0%}); "
        f"diameter over what was asked: median {ratio['median']:.2f}, 5 to 95 % "
        f"{ratio['p5']:.2f} to {ratio['p95']:.2f}.</p>",
        _table(
            ("", "found", "of"),
            [(name, g["found"], g["requests"]) for name, g in figure["groups"].items()],
        ),
    ]
    body += [
        _picture("not found: drawn reference, without, with the nodule, difference", shown)
        for shown in pictures
    ]
    return "Are nodules where they were asked for?", "".join(body)


def _picture(caption: str, gray: np.ndarray) -> str:
    size = display_size((1, *gray.shape), (1.0, 1.0), longest=SIDE)
    return picture(caption, "image/jpeg", jpeg(gray, size, quality=85))


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"]
    for row in rows:
        words = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        lines.append("<tr>" + "".join(f"<td>{html.escape(w)}</td>" for w in words) + "</tr>")
    return "\n".join([*lines, "</table>"])
