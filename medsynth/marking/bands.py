"""Where in the spectrum the waves of the mark lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WaveBand:
    """From `low` to `high`, cycles per pixel; `number` is drawn with, so it never changes."""

    number: int
    low: float
    high: float


# Below it lie what guidance fixes (up to 0.0625 by factor 8, 0.125 by factor 4) and most of the
# anatomy's own power; above it what JPEG and scaling to 0.7 take away.
FINE = WaveBand(1, 0.15, 0.30)
# Of values in HU, whose pictures are of wide windows, and of chest radiographs, which are smooth: JPEG leaves hardly anything above it.
COARSE = WaveBand(2, 0.15, 0.235)
BANDS = (FINE, COARSE)  # all that marks are looked for in
