"""Heart, great vessels, airways and oesophagus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth.phantoms import frame, splines
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.habitus import Habitus
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ, Tube

# Outline of the heart: z, center x, y, radii, rotation (degrees, x towards y).
_HEART = [
    (26, -2, -34, 20, 20, 0), (16, 0, -32, 31, 32, 0), (2, 4, -31, 39, 40, -8),
    (-16, 10, -32, 48, 43, -14), (-34, 17, -36, 57, 42, -18), (-52, 24, -40, 61, 36, -20),
    (-64, 30, -44, 55, 28, -18), (-74, 34, -48, 42, 18, -14), (-80, 38, -50, 24, 9, -12),
]  # fmt: skip
_HEART_CENTER = np.array([10.0, -32.0, -25.0])

# Center lines: x, y, z, radius.
_AORTA = [
    (8, -32, -18, 12), (4, -34, -4, 14.5), (-6, -32, 16, 15.5), (-11, -28, 36, 15.5),
    (-8, -21, 54, 14.5), (0, -10, 67, 13.5), (9, 4, 71, 13), (17, 17, 64, 12.5), (20, 24, 46, 12),
    (20, 27, 20, 11.5), (18, 27, 0, 11.2), (15, 26, -30, 11), (11, 24, -60, 10.6),
    (6, 19, -95, 10.2), (4, 17, -130, 9.8), (3, 16, -180, 9.5), (3, 14, -236, 9.2),
]  # fmt: skip
_PULMONARY = [
    [(22, -54, -8, 12), (20, -50, 8, 14), (17, -40, 24, 14), (14, -28, 35, 12.5),
     (24, -14, 41, 11.5), (34, 0, 39, 10), (41, 12, 28, 8.5), (44, 20, 10, 7)],
    [(16, -30, 33, 11), (2, -14, 33, 11), (-14, -9, 32, 10.5), (-30, -5, 28, 9.5),
     (-41, 5, 16, 8), (-45, 14, 0, 6.5)],
]  # fmt: skip
_VEINS = [  # pulmonary veins into the left atrium
    [(34, -14, 22, 4.5), (26, -4, 12, 6), (16, 3, 4, 7)],
    [(42, 16, -14, 4.5), (30, 13, -10, 6), (18, 7, -6, 7)],
    [(-36, -14, 16, 4.5), (-24, -6, 8, 6), (-10, 2, 2, 7)],
    [(-40, 14, -20, 4.5), (-26, 11, -13, 6), (-12, 6, -8, 7)],
]
_CAVAL = [
    [(-27, -22, 80, 8), (-27, -21, 52, 9), (-27, -19, 30, 9), (-28, -20, 8, 10), (-26, -24, -10, 10)],
    [(-24, -22, -40, 11), (-20, -14, -58, 11), (-17, -8, -76, 11), (-18, -2, -110, 11),
     (-20, 2, -160, 11), (-20, 4, -236, 10)],
    [(-26, -23, 78, 7), (-14, -36, 88, 7), (12, -42, 94, 6.5), (32, -38, 106, 6), (44, -34, 128, 6)],
    [(-27, -24, 78, 7), (-32, -32, 98, 7), (-38, -36, 124, 6)],
    [(-26, -14, 46, 3), (-18, 6, 52, 3.2), (-9, 28, 44, 3.2), (-7, 30, 0, 3.2), (-6, 27, -90, 3)],
]  # fmt: skip
_BRANCHES = [
    [(-2, -14, 72, 6.5), (-10, -20, 90, 6), (-20, -22, 112, 5.5), (-32, -14, 138, 4.5)],
    [(5, -6, 76, 4.2), (14, -12, 96, 4), (20, -14, 125, 3.6), (22, -10, 165, 3.4)],
    [(14, 8, 74, 5), (20, 2, 96, 4.8), (28, -6, 122, 4.5), (46, -14, 142, 4.2)],
]
_AIRWAYS = [
    [(0, -30, 175, 8.6), (-1, -27, 140, 8.6), (-3, -15, 105, 8.8), (-5, -3, 75, 8.8),
     (-5, 3, 56, 8.8), (-5, 6, 46, 8.4)],
    [(-5, 6, 48, 7.2), (-16, 8, 38, 7), (-28, 11, 27, 6.2), (-35, 14, 12, 5.4), (-39, 20, -8, 4.4)],
    [(-22, 9, 33, 4.4), (-34, 8, 40, 4), (-46, 6, 50, 3)],
    [(-5, 6, 48, 7), (8, 9, 38, 6.4), (22, 13, 28, 6), (33, 17, 18, 5.2), (39, 24, -2, 4.2)],
    [(30, 15, 22, 4.2), (40, 6, 22, 3.6), (52, -4, 30, 2.8)],
]  # fmt: skip
_OESOPHAGUS = [
    (2, -8, 172, 7), (4, 3, 130, 7), (4, 12, 100, 7), (4, 17, 70, 7), (1, 20, 45, 7),
    (1, 19, 10, 7), (3, 16, -20, 7), (7, 12, -50, 7.5), (14, 4, -78, 8), (26, -6, -95, 9),
]  # fmt: skip
HILA = {"right": (-38.0, 6.0, 16.0), "left": (38.0, 8.0, 20.0)}


def organs(habitus: Habitus) -> dict[str, Organ]:
    """Heart with its chambers, vessels, airways and oesophagus, in painting order."""
    blood = tissues.BLOOD + habitus.contrast_hu
    venous = tissues.BLOOD + 0.8 * habitus.contrast_hu
    muscle = tissues.MYOCARDIUM + 0.35 * habitus.contrast_hu
    heart = {
        "heart": Organ("heart", (Layer(muscle),), (_heart(),)),
        **{
            f"heart.{name}": Organ("blood", (Layer(hu),), (piece,), over=("heart",))
            for name, hu, piece in _chambers(blood, venous)
        },
    }
    grown = {name: organ.mapped(_about_heart(habitus.heart)) for name, organ in heart.items()}
    return {
        **grown,
        "veins": _vessels(venous, _CAVAL, 1.0),
        "pulmonary_arteries": _vessels(blood, _PULMONARY, 1.0),
        "pulmonary_veins": _vessels(blood, _VEINS, 1.0),
        "oesophagus": Organ("oesophagus", (Layer(tissues.MUSCLE - 14),), (tube(_OESOPHAGUS),)),
        "aorta": _vessels(blood, [_AORTA], habitus.aorta),
        "aorta.branches": _vessels(blood, _BRANCHES, habitus.aorta**0.5),
        "airways": Organ(
            "airway",
            (Layer(tissues.AIRWAY_WALL, -1.5), Layer(tissues.AIR + 5)),
            tuple(tube(line) for line in _AIRWAYS),
        ),
    }


def tube(line: Sequence[tuple[float, float, float, float]], scale: float = 1.0) -> Tube:
    """A tube through the center line's points, its radii times `scale`."""
    control = splines.open_control_through(np.array(line, dtype=float))
    return Tube(control[:, :3], control[:, 3] * scale)


def _vessels(hu: float, lines: list, scale: float) -> Organ:
    return Organ("blood", (Layer(hu),), tuple(tube(line, scale) for line in lines))


def _heart() -> ClosedCurves:
    curves = [
        frame.superellipse((x, y), (a, b), rotate_deg=turn, exponent=2.15)
        for _, x, y, a, b, turn in _HEART
    ]
    return frame.through([row[0] for row in _HEART], curves)


def _chambers(blood: float, venous: float) -> list[tuple[str, float, ClosedCurves]]:
    """Ellipsoids: the septum runs from right-behind to left-front, the apex points left and down."""
    return [
        (
            "right_atrium",
            venous,
            frame.ellipsoid((-24, -28, -20), (16, 22, 30), shear=(0.0, -0.1)),
        ),
        (
            "right_ventricle",
            venous,
            frame.ellipsoid((14, -58, -38), (40, 14, 34), rotate_deg=-22, shear=(-0.3, 0.1)),
        ),
        ("left_atrium", blood, frame.ellipsoid((4, -2, -8), (30, 14, 22), rotate_deg=4)),
        (
            "left_ventricle",
            blood,
            frame.ellipsoid((42, -38, -42), (30, 16, 26), rotate_deg=-38, shear=(-0.5, 0.2)),
        ),
    ]


def _about_heart(scale: float):
    """Grow the heart about its middle; along z only half as much (the diaphragm is below)."""
    factors = np.array([scale, scale, 0.5 + 0.5 * scale])
    return lambda points: _HEART_CENTER + (points - _HEART_CENTER) * factors
