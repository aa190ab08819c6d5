"""The trunk around the rib cage: skin, subcutaneous fat, breasts, muscles; and the CT table."""

from __future__ import annotations

import numpy as np

from medsynth.phantoms import frame, splines
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.habitus import Habitus
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ

# z, half width, front, back, exponent of the surface over the muscles (under the fat), arms raised.
_ENVELOPE = np.array(
    [
        (-240, 135, -88, 92, 2.3), (-140, 138, -92, 96, 2.35), (-108, 141, -95, 97, 2.4),
        (-72, 144, -98, 98, 2.4), (-36, 147, -99, 99, 2.4), (0, 150, -98, 101, 2.4),
        (18, 152, -97, 102, 2.35), (36, 157, -95, 101, 2.3), (54, 164, -92, 99, 2.2),
        (72, 174, -89, 96, 2.15), (90, 184, -85, 92, 2.15), (108, 192, -77, 86, 2.2),
        (126, 197, -66, 79, 2.3), (140, 198, -57, 72, 2.4), (170, 190, -50, 64, 2.4),
    ],
    dtype=float,
)  # fmt: skip
_envelope = splines.between_levels(_ENVELOPE[:, 0], _ENVELOPE[:, 1:])
LEVELS = [-240, -180, -140, -108, -72, -36, -18, 0, 18, 36, 54, 72, 90, 108, 126, 140, 170]
SKIN_POINTS = 32
# Crescent-shaped muscles on the cage: z range, angles from the front, gap to the cage and
# thickness in mm (at the middle of the z range).
_CRESCENTS: dict[str, tuple] = {
    "pectoralis_major": ((-12, 118), (18, 66), 13, 17),
    "pectoralis_minor": ((36, 110), (42, 68), 11, 8),
    "serratus": ((-70, 100), (62, 112), 10, 9),
    "latissimus": ((-170, 84), (86, 136), 14, 14),
    "oblique": ((-250, -40), (38, 92), 9, 9),
    "trapezius": ((-60, 168), (141, 179), 21, 8),
    "rhomboid": ((10, 112), (140, 170), 12, 8),
}


def organs(habitus: Habitus) -> dict[str, Organ]:
    """Table, skin, fat and muscles, from the outside in; everything else is painted over them."""
    body = {}
    if habitus.table:
        body["table"] = _table(habitus)
    body["skin"] = _skin(habitus)
    body["cage"] = Organ(
        "muscle",
        (Layer(tissues.MUSCLE - 7),),
        (_cage_curves(9.5),),
    )
    for name, (z_range, angles, gap, thickness) in _CRESCENTS.items():
        pieces = tuple(
            _crescent(side, z_range, angles, gap, thickness * habitus.muscle) for side in (1, -1)
        )
        body[f"muscle.{name}"] = _muscle(pieces)
    body["muscle.erector_spinae"] = _muscle(tuple(_erector(side, habitus) for side in (1, -1)))
    body["muscle.shoulder"] = _muscle(
        tuple(piece for side in (1, -1) for piece in _shoulder(side, habitus))
    )
    body["muscle.neck"] = _muscle((_neck(),))
    body["mediastinum"] = Organ(
        "mediastinum", (Layer(tissues.MEDIASTINAL_FAT),), (_cage_curves(0.0),)
    )
    # Between the ribs' necks and the laminae, in front of the long muscles of the back.
    body["muscle.multifidus"] = Organ(
        "muscle", (Layer(tissues.MUSCLE - 4),), (_multifidus(),), over=("mediastinum",)
    )
    return body


def _muscle(pieces: tuple) -> Organ:
    return Organ("muscle", (Layer(tissues.MUSCLE),), pieces, over=("fat", "muscle"))


def fat_thickness(angle_deg: np.ndarray, habitus: Habitus) -> np.ndarray:
    """Subcutaneous fat at an angle from the front: thick at the flank, thin over the sternum."""
    flank = np.abs(np.sin(np.deg2rad(angle_deg)))
    return habitus.fat_mm * (0.62 + 0.38 * flank**2)


def _skin(habitus: Habitus) -> Organ:
    angles = np.arange(SKIN_POINTS) * 360 / SKIN_POINTS
    curves = []
    for z in LEVELS:
        half_width, front, back, exponent = _envelope(z)
        outer = fat_thickness(angles, habitus)
        # More muscle makes the envelope wider, most of it at the shoulders.
        half_width = half_width + 9 * (habitus.muscle - 1)
        sine, cosine = np.sin(np.deg2rad(angles)), np.cos(np.deg2rad(angles))
        power = 2 / exponent
        x = (half_width + outer) * np.sign(sine) * np.abs(sine) ** power
        y = (front + back) / 2 - ((back - front) / 2 + outer) * np.sign(cosine) * np.abs(
            cosine
        ) ** power
        # Breasts: a bump on either side, fullest just below mid-lung.
        bump = np.exp(-(((np.abs((angles + 180) % 360 - 180) - 43) / 20) ** 2))
        y = y - habitus.breast_mm * bump * np.exp(-(((z - 8) / 48) ** 2))
        # The groove along the spine.
        y = y - (3 + 0.25 * habitus.fat_mm) * np.exp(-((x / 14) ** 2)) * (cosine < 0)
        curves.append(np.column_stack([x, y]))
    skin = frame.through(LEVELS, curves)
    # The skin itself is 2 mm and denser than the fat below it (Kalender 2011).
    layers = (Layer(-10.0, label="fat"), Layer(tissues.FAT, 2.0))
    return Organ("fat", layers, (ClosedCurves(skin.levels_mm, skin.points_mm),))


def _cage_curves(offset_mm: float) -> ClosedCurves:
    levels = [-240, -160, -108, -72, -36, 0, 36, 54, 72, 90, 108, 122, 133, 141, 146]
    angles = np.arange(24) * 15.0
    return frame.through(levels, [frame.wall(z, angles, offset_mm=offset_mm) for z in levels])


def _crescent(
    side: int,
    z_range: tuple[float, float],
    angles: tuple[float, float],
    gap_mm: float,
    thickness_mm: float,
) -> ClosedCurves:
    """A muscle that lies on the cage: thickest in its middle, thinning out to its edges."""
    angle = np.linspace(*angles, 9)
    across = np.sin(np.linspace(0.12, np.pi - 0.12, 9)) ** 0.8
    levels, curves = [], []
    for part in np.linspace(0, 1, 7):
        z = z_range[0] + part * (z_range[1] - z_range[0])
        height = 0.12 + 0.88 * np.sin(np.pi * np.clip(part, 0.03, 0.97)) ** 0.6
        inner = frame.wall(z, angle, offset_mm=gap_mm)
        outer = frame.wall(z, angle, offset_mm=gap_mm + 1 + thickness_mm * height * across)
        levels.append(z)
        curves.append(frame.mirrored(np.concatenate([inner, outer[::-1]]), side))
    return frame.through(levels, curves)


def _erector(side: int, habitus: Habitus) -> ClosedCurves:
    """The long muscles beside the spinous processes."""
    levels = [-240, -150, -80, 0, 70, 110, 140, 170]
    thick = [17, 17, 16, 14, 12, 11, 12, 13]
    curves = [
        frame.superellipse(
            (side * 25, float(frame.spine_y(z)) + 41),
            (20, t * np.sqrt(habitus.muscle)),
            exponent=2.3,
        )
        for z, t in zip(levels, thick, strict=True)
    ]
    return frame.through(levels, curves)


def _multifidus() -> ClosedCurves:
    levels = [-240, -145, -72, 0, 54, 90, 108, 126, 150]
    return frame.through(
        levels, [frame.superellipse((0, float(frame.spine_y(z)) + 40), (42, 24)) for z in levels]
    )


def _shoulder(side: int, habitus: Habitus) -> list[ClosedCurves]:
    """Muscles around the shoulder blade, and the arm's root above it."""
    thick = 0.6 + 0.4 * habitus.muscle
    blade = [(18, 128, 68, 22, 8, -38), (40, 126, 66, 33, 15, -40), (72, 124, 58, 44, 20, -40),
             (100, 119, 46, 52, 22, -38), (120, 118, 36, 56, 22, -30), (140, 116, 26, 56, 22, -24),
             (170, 112, 18, 50, 20, -20)]  # fmt: skip
    root = [(86, 158, 0, 12, 12, 0), (104, 158, -4, 30, 26, 0), (124, 152, -4, 42, 36, 0),
            (145, 150, -2, 46, 40, 0), (170, 146, 0, 46, 38, 0)]  # fmt: skip
    collar = [(112, 78, 44, 12, 8, 0), (122, 80, 36, 42, 12, 8), (134, 80, 28, 60, 20, 8),
              (148, 78, 20, 66, 28, 4), (170, 70, 16, 66, 34, 0)]  # fmt: skip
    return [
        frame.through(
            [row[0] for row in rows],
            [
                frame.superellipse((side * x, y), (a, b * thick), rotate_deg=side * turn)
                for _, x, y, a, b, turn in rows
            ],
        )
        for rows in (blade, root, collar)
    ]


def _neck() -> ClosedCurves:
    rows = [(118, 16, 8), (128, 34, 24), (138, 52, 36), (150, 62, 42), (170, 60, 46)]
    return frame.through(
        [z for z, _, _ in rows],
        [frame.superellipse((0, float(frame.spine_y(z)) + 8), (a, b)) for z, a, b in rows],
    )


def _table(habitus: Habitus) -> Organ:
    """A curved carbon-fibre table top with a foam core, 2 mm under the back."""
    angle = np.linspace(-1, 1, 12)
    back = _envelope(0.0)[2] + 0.62 * habitus.fat_mm
    upper = np.column_stack([angle * 235, back - 62 * angle**2])
    lower = np.column_stack([angle * 215, back - 30 * angle**2 + 30])
    curve = np.concatenate([upper, lower[::-1]])
    layers = (Layer(tissues.TABLE_SHELL), Layer(tissues.TABLE_FOAM, 1.6))
    return Organ("table", layers, (frame.through([-1000, 1000], [curve, curve]),))
