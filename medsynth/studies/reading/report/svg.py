"""Pictures of a reading study as SVG: sharp at any size, in the page's own colors, light or dark."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, RIGHT, WIDTH, ROW = 190, 150, 860, 30


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot, in shares; `strong` lines are pooled."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""
    strong: bool = False


def forest(
    rows: Sequence[ForestRow], *, chance: float | None, margin: float | None, title: str
) -> str:
    """Shares with their intervals from 0 to 100 %, the line of chance and the band of equivalence."""
    height = ROW * len(rows) + 46

    def x(share: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0), 1), 1)

    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(title)}">'
    ]
    bottom = ROW * len(rows) + 12
    if chance is not None and margin:
        width = x(chance + margin) - x(chance - margin)
        parts.append(
            f'<rect class="band" x="{x(chance - margin)}" y="6" width="{width}" '
            f'height="{bottom - 6}"/>'
        )
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{x(share)}" x2="{x(share)}" y1="6" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x(share)}" y="{bottom + 18}" text-anchor="middle">'
            f"{share:.0%}</text>"
        )
    if chance is not None:
        parts.append(
            f'<line class="chance" x1="{x(chance)}" x2="{x(chance)}" y1="6" y2="{bottom}"/>'
        )
    for number, row in enumerate(rows):
        y = 6 + ROW * number + ROW / 2
        kind = "strong" if row.strong else "usual"
        parts.append(
            f'<text class="label {kind}" x="{LEFT - 12}" y="{y + 5}" text-anchor="end">'
            f"{html.escape(row.label)}</text>"
            f'<line class="bar {kind}" x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot {kind}" cx="{x(row.value)}" cy="{y}" r="{6 if row.strong else 4.5}"/>'
            f'<text class="value {kind}" x="{WIDTH - RIGHT + 12}" y="{y + 5}">'
            f"{html.escape(row.note)}</text>"
        )
    return "".join([*parts, "</svg>"])


def roc(curve: Sequence[Sequence[float]], *, label: str) -> str:
    """The mean ROC curve in a square, chance dashed."""
    side, pad = 260, 34

    def point(x: float, y: float) -> str:
        return f"{pad + side * x:.1f},{6 + side * (1 - y):.1f}"

    line = " ".join(point(x, y) for x, y in curve)
    return (
        f'<svg class="plot square" viewBox="0 0 {side + pad + 8} {side + 44}" role="img" '
        f'aria-label="ROC curve">'
        f'<rect class="frame" x="{pad}" y="6" width="{side}" height="{side}"/>'
        f'<polyline class="chance" points="{point(0, 0)} {point(1, 1)}"/>'
        f'<polygon class="area" points="{point(0, 0)} {line} {point(1, 0)}"/>'
        f'<polyline class="curve" points="{line}"/>'
        f'<text class="tick" x="{pad + side / 2}" y="{side + 26}" text-anchor="middle">'
        "real images called synthetic</text>"
        f'<text class="tick" transform="translate(14 {6 + side / 2}) rotate(-90)" '
        'text-anchor="middle">synthetic ones recognized</text>'
        f'<text class="value strong" x="{pad + side - 8}" y="{side - 8}" text-anchor="end">'
        f"{html.escape(label)}</text></svg>"
    )


def bars(counts: Sequence[tuple[str, int]]) -> str:
    """Counts as horizontal bars."""
    most = max((count for _, count in counts), default=1)
    height = 24 * len(counts) + 4
    parts = [f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="reasons">']
    for number, (name, count) in enumerate(counts):
        y = 24 * number + 4
        width = (WIDTH - LEFT - 70) * count / most
        parts.append(
            f'<text class="label" x="{LEFT - 12}" y="{y + 14}" text-anchor="end">'
            f"{html.escape(name)}</text>"
            f'<rect class="fill" x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="15" rx="3"/>'
            f'<text class="value" x="{LEFT + width + 8:.1f}" y="{y + 14}">{count}</text>'
        )
    return "".join([*parts, "</svg>"])
