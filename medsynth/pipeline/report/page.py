"""`report.html`: one file that shows a run without network, server or other files beside it."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.marking import jpeg_comment
from medsynth.pages import filled
from medsynth.pipeline.report import pictures, tables
from medsynth.pipeline.report.data import ReportInput

TEMPLATE = Path(__file__).with_name("page.html")
LONGEST = 512
QUALITY = 80
# Of the pictures alone, before base64 adds a third: the whole page stays below 15 MB.
PICTURE_BYTES = 10_000_000


def write_report(data: ReportInput, path: Path | str) -> None:
    """The page for `data`; slices are left out evenly where it would grow beyond 15 MB.

    Slices with a lesion are the last to be left out.
    """
    Path(path).write_text(_filled(data), encoding="utf-8")


def chosen_slices(data: ReportInput, *, budget_bytes: int = PICTURE_BYTES) -> list[int]:
    """The slices that the page shows: all, if their pictures fit into `budget_bytes`.

    Otherwise first the slices with a lesion, then the synthesized ones, then those that were kept as
    they were, each spread evenly. Sizes are estimated from one slice of either kind.
    """
    changed, lesion = data.changed, data.lesion_area > 0
    lesion[data.key_slice] = True
    shown: list[int] = []
    left = budget_bytes
    for group in (lesion, changed & ~lesion, ~changed & ~lesion):
        indices = np.flatnonzero(group)
        if len(indices):
            cost = _encoded_bytes(data, int(indices[len(indices) // 2]))
            kept = _evenly(indices, max(left, 0) // cost)
            left -= cost * len(kept)
            shown += kept
    return sorted({*shown, data.key_slice})


def _evenly(indices: np.ndarray, count: int) -> list[int]:
    """`count` of `indices`, spread evenly; all of them when there are no more."""
    if count <= 0:
        return []
    if len(indices) <= count:
        return [int(i) for i in indices]
    places = np.linspace(0, len(indices) - 1, count).round().astype(int)
    return [int(indices[place]) for place in places]


def _filled(data: ReportInput) -> str:
    shown = chosen_slices(data)
    size = pictures.display_size(data.reference.shape, data.spacing_mm, longest=LONGEST)
    viewer = {
        "size": size,
        "mm_per_pixel": data.reference.shape[2] * data.spacing_mm[0] / size[0],
        "count": len(data.reference),
        "first": shown.index(data.key_slice),
        "units": data.units,
        "difference_limit": data.difference_limit,
        "colors": pictures.LESION_COLORS,
        "windows": [{"name": w.name, "center": w.center, "width": w.width} for w in data.windows],
        "factors": [str(factor) for factor in data.low_pass],
        "slices": [_slice(data, k, size) for k in shown],
    }
    left_out = len(data.reference) - len(shown)
    parts = {
        "title": html.escape(data.title),
        "subtitle": html.escape(_subtitle(data, left_out)),
        "warnings": tables.warnings(data.record),
        "measured": tables.measured(data.record, units=data.units),
        "settings": tables.settings(data.request),
        "provenance": tables.provenance(data.record),
        # A "<" could open or end the script element that holds the data.
        "viewer": json.dumps(viewer).replace("<", "\\u003c"),
    }
    return filled(TEMPLATE, parts)


def _subtitle(data: ReportInput, left_out: int) -> str:
    rows, columns = data.reference.shape[1:]
    lesions = {0: "no pathology", 1: "1 pathology"}.get(
        len(data.masks), f"{len(data.masks)} pathologies"
    )
    parts = [f"{len(data.reference)} slices of {columns} x {rows}", lesions]
    if "seed" in data.record:
        parts.append(f"seed {data.record['seed']}")
    if left_out:
        parts.append(f"{left_out} slices are not shown here, to keep this page small")
    return " · ".join(parts)


def _planes(data: ReportInput, k: int) -> dict[str, np.ndarray]:
    """What is shown of slice k in every window; of a slice that was kept, the reference."""
    if np.array_equal(data.reference[k], data.result[k]):
        return {"reference": data.reference[k]}
    planes = {"reference": data.reference[k], "result": data.result[k]}
    return planes | {f"low{factor}": np.asarray(low[k]) for factor, low in data.low_pass.items()}


def _slice(data: ReportInput, k: int, size: tuple[int, int]) -> dict[str, Any]:
    """Slice k as the page's script reads it."""
    planes = _planes(data, k)
    record: dict[str, Any] = {"k": k}
    for name, plane in planes.items():
        record[name] = [
            _picture(pictures.windowed(plane, w), size, synthetic=name == "result")
            for w in data.windows
        ]
    if "result" in planes:
        gray = pictures.signed_gray(data.result[k] - data.reference[k], data.difference_limit)
        record["difference"] = _picture(gray, size)
    record["outlines"] = [
        [line.round(1).ravel().tolist() for line in pictures.outlines(mask[k], size)]
        for mask in data.masks
    ]
    return record


def _encoded_bytes(data: ReportInput, k: int) -> int:
    """How much slice k adds to the page, before base64."""
    size = pictures.display_size(data.reference.shape, data.spacing_mm, longest=LONGEST)
    record = _slice(data, k, size)
    record.pop("outlines")
    return len(json.dumps(record)) * 3 // 4


def _picture(gray: np.ndarray, size: tuple[int, int], *, synthetic: bool = False) -> str:
    comment = jpeg_comment() if synthetic else b""
    picture = pictures.jpeg(gray, size, quality=QUALITY, comment=comment)
    return base64.b64encode(picture).decode("ascii")
