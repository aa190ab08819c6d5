"""The rib cage that everything else is hung on: its inner surface by level, and where z lies.

Standard coordinates, mm: x to the left, y to the back, z to the head; z = 0 is mid-lung (between
the carina at +45 and the top of the right hemidiaphragm at -60), x = y = 0 the middle of the body.
Sizes are an average adult's; measured levels: Gayzik et al., J Biomech 2008; vertebra pitch:
Panjabi et al., Spine 1991.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from medsynth.phantoms import splines
from medsynth.phantoms.thorax.shape import ClosedCurves

# Center of each vertebral body, head to foot.
VERTEBRAE: dict[str, float] = {
    "C6": 157, "C7": 140, "T1": 122, "T2": 103, "T3": 83.5, "T4": 63, "T5": 42, "T6": 21,
    "T7": -1, "T8": -23, "T9": -46, "T10": -69, "T11": -93, "T12": -118, "L1": -145, "L2": -173,
    "L3": -202, "L4": -232,
}  # fmt: skip

# z, half width, front (behind the sternum), back (the gutters beside the spine).
_CAGE = np.array(
    [
        (-240, 112, -70, 78), (-160, 110, -78, 80), (-132, 111, -82, 82), (-108, 115, -84, 84),
        (-90, 119, -86, 85), (-72, 123, -87, 86), (-54, 126, -87, 87), (-36, 127, -86, 87),
        (-18, 127, -84, 88), (0, 127, -82, 88), (18, 126, -79, 88), (36, 124, -76, 87),
        (54, 121, -72, 85), (72, 116, -67, 80), (90, 108, -60, 72), (108, 97, -50, 61),
        (122, 83, -38, 50), (133, 66, -25, 40), (141, 46, -12, 30), (146, 32, -2, 22),
    ],
    dtype=float,
)  # fmt: skip
# z, y of the vertebral body's center (the thoracic kyphosis).
_SPINE = np.array(
    [
        (-240, 34), (-145, 41), (-108, 40), (-72, 40), (-36, 43), (0, 47), (36, 49), (54, 48),
        (72, 44), (90, 37), (108, 27), (126, 15), (140, 8), (160, 2),
    ],
    dtype=float,
)  # fmt: skip
CAGE_EXPONENT = 2.35
APEX_MM, RECESS_MM = 146.0, -128.0

cage = splines.between_levels(_CAGE[:, 0], _CAGE[:, 1:])
spine_y = splines.between_levels(_SPINE[:, 0], _SPINE[:, 1])


def wall(z_mm: ArrayLike, angle_deg: ArrayLike, *, offset_mm: ArrayLike = 0.0) -> np.ndarray:
    """Points (..., 2) on the cage's inner surface, `offset_mm` outwards.

    Args:
        z_mm: level.
        angle_deg: direction from the cage's middle: 0 front, 90 left, 180 back, -90 right.
        offset_mm: outward distance; broadcast with the others.
    """
    z, angle, offset = np.broadcast_arrays(z_mm, np.deg2rad(angle_deg), offset_mm)
    half_width, front, back = np.moveaxis(cage(z), -1, 0)
    half_depth, middle = (back - front) / 2, (back + front) / 2
    power = 2 / CAGE_EXPONENT
    sine, cosine = np.sin(angle), np.cos(angle)
    x = (half_width + offset) * np.sign(sine) * np.abs(sine) ** power
    y = middle - (half_depth + offset) * np.sign(cosine) * np.abs(cosine) ** power
    return np.stack([x, y], axis=-1)


def superellipse(
    center_mm: tuple[float, float],
    radii_mm: tuple[float, float],
    *,
    count: int = 16,
    exponent: float = 2.0,
    rotate_deg: float = 0.0,
) -> np.ndarray:
    """(count, 2) points on |x/a|^p + |y/b|^p = 1, turned by `rotate_deg` (x towards y)."""
    angle = np.arange(count) * 2 * np.pi / count
    sine, cosine = np.sin(angle), np.cos(angle)
    power = 2 / exponent
    x = radii_mm[0] * np.sign(cosine) * np.abs(cosine) ** power
    y = radii_mm[1] * np.sign(sine) * np.abs(sine) ** power
    turn = np.deg2rad(rotate_deg)
    turned = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
    return turned + np.array(center_mm)


def through(levels_mm: Sequence[float], points_mm: Sequence[np.ndarray]) -> ClosedCurves:
    """Closed curves that pass through the given points at each level (in any order of levels)."""
    order = np.argsort(levels_mm)
    control = [splines.closed_control_through(np.asarray(points_mm[i])) for i in order]
    return ClosedCurves(np.asarray(levels_mm, dtype=float)[order], np.stack(control))


def ellipsoid(
    center_mm: tuple[float, float, float],
    radii_mm: tuple[float, float, float],
    *,
    exponent: float = 2.0,
    rotate_deg: float = 0.0,
    shear: tuple[float, float] = (0.0, 0.0),
) -> ClosedCurves:
    """A (super)ellipsoid as closed curves; `shear`: how far x and y drift per mm of z."""
    heights = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 11)) * 0.999
    x, y, z = center_mm
    levels = [z + radii_mm[2] * h for h in heights]
    curves = [
        superellipse(
            (x + shear[0] * radii_mm[2] * h, y + shear[1] * radii_mm[2] * h),
            (radii_mm[0] * np.sqrt(1 - h * h), radii_mm[1] * np.sqrt(1 - h * h)),
            exponent=exponent,
            rotate_deg=rotate_deg,
        )
        for h in heights
    ]
    return through(levels, curves)


def mirrored(points: np.ndarray, side: int) -> np.ndarray:
    """`points` given for the left (side +1), or their mirror image on the right (-1)."""
    flipped = np.array(points, dtype=float)
    flipped[..., 0] *= side
    return flipped
