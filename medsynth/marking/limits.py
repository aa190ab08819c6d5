"""How far the mark may go in images of one kind, and which of their pixels it leaves alone."""

from __future__ import annotations

from dataclasses import dataclass

from medsynth.marking.bands import FINE, WaveBand

HU, GRAY = 3.0, 2.0  # no pixel changes by more
GRAY_QUIET = 1.0  # nor by more than this in a slice with weak noise, below five gray values
AIR_HU = 75.0  # above the domain's air: darker is air, and stays as it is
EMPTY_GRAY = 10.0  # darker is the empty ground of a picture of which nothing else is known


@dataclass(frozen=True)
class MarkLimits:
    """In the units of the values.

    Attributes:
        largest: no pixel changes by more.
        quiet: nor by more than this in a slice of whose noise it is more than a fifth.
        air: what is darker over 10 pixels stays as it is.
        span: lowest and highest value that a result may have; pixels near them stay as they are.
        band: of the waves.
        picture: lowest and highest value of the widest window that its pictures are shown in, whose
            JPEG leaves least of a mark; None: no picture is made of it.
    """

    largest: float
    quiet: float
    air: float
    span: tuple[float, float]
    band: WaveBand = FINE
    picture: tuple[float, float] | None = None


def limits_of_gray(step: float) -> MarkLimits:
    """Of gray values 0 to 255 `step`: 1 for 8 bits, 257 for 16."""
    span = (0.0, 255.0 * step)
    return MarkLimits(GRAY * step, GRAY_QUIET * step, EMPTY_GRAY * step, span, picture=span)
