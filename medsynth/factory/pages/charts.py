"""Small SVG charts for the page of a set: what was asked for beside what was drawn."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

WIDTH, HEIGHT, MARGIN = 420, 190, 34
ASKED, DRAWN = "#8fa3b5", "#ff9d00"
BINS = 24


def histogram(asked: Sequence[float], drawn: Sequence[float], *, unit: str) -> str:
    """Shares of both, in the same bins."""
    values = [*asked, *drawn]
    if not values:
        return _none()
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    series = [
        (np.histogram(v, edges)[0] / max(1, len(v)), c) for v, c in ((asked, ASKED), (drawn, DRAWN))
    ]
    top = max(float(shares.max()) for shares, _ in series) or 1.0
    step = (WIDTH - 2 * MARGIN) / BINS
    bars = ""
    for (shares, color), offset in zip(series, (0.0, 0.5), strict=True):
        for i, share in enumerate(shares):
            tall = share / top * (HEIGHT - 2 * MARGIN)
            x, y = MARGIN + (i + offset) * step, HEIGHT - MARGIN - tall
            bars += f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.46:.1f}" height="{tall:.1f}" fill="{color}"/>'
    ends = _text(MARGIN, HEIGHT - 14, _short(low)) + _text(
        WIDTH - MARGIN, HEIGHT - 14, f"{_short(high)} {unit}", anchor="end"
    )
    return _svg(bars + _line() + ends + _text(4, 14, f"{100 * top:.0f} %"))


def bars(asked: Mapping[str, int], drawn: Mapping[str, int]) -> str:
    """Counts by name, one row each."""
    names = list(dict.fromkeys((*drawn, *asked)))
    if not names:
        return _none()
    top = max((*asked.values(), *drawn.values()))
    room, tall = WIDTH - 190, 26
    rows = ""
    for i, name in enumerate(names):
        y = 8 + i * tall
        rows += _text(150, y + 13, name, anchor="end")
        for value, color, offset in ((asked.get(name), ASKED, 0), (drawn.get(name), DRAWN, 9)):
            if value is not None:
                wide = room * value / top
                rows += (
                    f'<rect x="156" y="{y + offset}" width="{wide:.1f}" height="8" fill="{color}"/>'
                )
                rows += _text(160 + wide, y + offset + 8, f"{value:,}", size=9)
    return _svg(rows, height=16 + tall * len(names))


def places(points: Sequence[tuple[float, float]]) -> str:
    """Where lesions lie, as shares of the picture's width and height."""
    if not points:
        return _none()
    side = 240
    dots = "".join(
        f'<circle cx="{x * side:.1f}" cy="{y * side:.1f}" r="2.2" fill="{DRAWN}" fill-opacity=".55"/>'
        for x, y in points
    )
    frame = f'<rect width="{side}" height="{side}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
    return _svg(frame + dots, width=side, height=side)


def legend() -> str:
    """Which color is which."""
    return (
        f'<span class="key"><i style="background:{ASKED}"></i>asked for</span>'
        f'<span class="key"><i style="background:{DRAWN}"></i>drawn</span>'
    )


def _svg(inside: str, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{inside}</svg>'


def _line() -> str:
    y = HEIGHT - MARGIN
    return f'<path d="M{MARGIN} {y}H{WIDTH - MARGIN}" stroke="currentColor" stroke-opacity=".5"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="currentColor">{html.escape(words)}</text>'
    )


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:.4g}"


def _none() -> str:
    return '<p class="none">None.</p>'
