"""Lungs, diaphragm and what lies under it."""

from __future__ import annotations

import numpy as np

from medsynth.phantoms import frame, splines
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.habitus import Habitus
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ, Tube

# The lungs' inner border: distance from the midline, at fractions of the way from front to back
# (rows by z). It follows the heart, the aortic knuckle, the hila and the spine.
_FRACTIONS = np.array([0, 0.12, 0.3, 0.45, 0.55, 0.63, 0.72, 0.84, 0.94, 1.0])
_LEFT = {
    146: (20, 20, 20, 20, 20, 20, 20, 20, 22, 25), 138: (18, 17, 16, 15, 15, 15, 16, 19, 22, 26),
    124: (26, 23, 18, 15, 13, 13, 15, 18, 21, 27), 108: (28, 25, 22, 20, 16, 13, 15, 18, 21, 27),
    90: (10, 12, 16, 20, 21, 18, 15, 18, 21, 27), 72: (5, 8, 18, 25, 27, 26, 20, 18, 21, 27),
    54: (4, 8, 22, 23, 27, 33, 28, 18, 21, 27), 36: (4, 10, 30, 36, 38, 33, 27, 18, 21, 27),
    18: (5, 16, 34, 38, 36, 31, 26, 18, 21, 27), 0: (7, 24, 44, 43, 34, 29, 25, 18, 21, 27),
    -18: (8, 34, 56, 53, 37, 28, 23, 18, 21, 27), -36: (9, 42, 70, 64, 34, 27, 22, 18, 21, 27),
    -54: (14, 50, 82, 66, 30, 25, 20, 18, 21, 27), -72: (20, 50, 76, 60, 26, 22, 18, 18, 21, 27),
    -100: (24, 48, 60, 46, 26, 22, 18, 18, 21, 27), -132: (24, 48, 60, 46, 26, 22, 18, 18, 21, 27),
}  # fmt: skip
_RIGHT = {
    146: (20, 20, 20, 20, 20, 20, 20, 20, 22, 25), 138: (18, 17, 15, 13, 13, 13, 15, 19, 22, 26),
    124: (26, 23, 17, 13, 11, 10, 14, 18, 21, 27), 108: (28, 26, 24, 20, 15, 10, 13, 18, 21, 27),
    90: (10, 14, 24, 26, 19, 10, 12, 18, 21, 27), 72: (5, 10, 28, 31, 22, 10, 12, 18, 21, 27),
    54: (4, 8, 28, 34, 24, 14, 13, 18, 21, 27), 36: (4, 8, 29, 37, 31, 13, 13, 18, 21, 27),
    18: (4, 10, 31, 36, 37, 14, 13, 18, 21, 27), 0: (4, 12, 33, 38, 36, 12, 13, 18, 21, 27),
    -18: (5, 18, 40, 43, 30, 8, 12, 18, 21, 27), -36: (7, 22, 43, 43, 22, 8, 12, 18, 21, 27),
    -54: (9, 26, 42, 40, 18, 7, 11, 18, 21, 27), -72: (10, 28, 38, 34, 20, 8, 11, 18, 21, 27),
    -100: (10, 28, 36, 30, 18, 9, 11, 18, 21, 27), -132: (10, 28, 36, 30, 18, 9, 11, 18, 21, 27),
}  # fmt: skip
_ANATOMY = {1: ("lung_left", _LEFT), -1: ("lung_right", _RIGHT)}
# Half-domes: top's x, y, z and the level at which the diaphragm meets the wall in front, at the
# side, behind and towards the middle.
_DOMES = {
    -1: ((-62, -16, -58), (-84, -116, -127, -100)),
    1: ((66, -14, -67), (-88, -116, -127, -96)),
}
_INSIDE = ("abdomen",)


def lungs(habitus: Habitus) -> dict[str, Organ]:
    """Both lungs, as closed curves with 28 control points per level."""
    return {
        name: Organ(name, (Layer(habitus.lung_hu),), (_lung(side),))
        for side, (name, _) in _ANATOMY.items()
    }


def _lung(side: int) -> ClosedCurves:
    table = _ANATOMY[side][1]
    levels = sorted(table)
    profile = splines.between_levels(
        np.array(levels, dtype=float), np.array([table[z] for z in levels], dtype=float)
    )
    all_levels = sorted({*levels, 144, 130, 116, 99, -128, -120, -110, -90})
    return frame.through(all_levels, [_lung_curve(side, z, profile(z)) for z in all_levels])


def _lung_curve(side: int, z_mm: float, inner_mm: np.ndarray) -> np.ndarray:
    """28 points: down the mediastinal side from front to back, up the chest wall."""
    _, front, back = frame.cage(z_mm)
    part = (1 - np.cos(np.linspace(0.16, np.pi - 0.16, 14))) / 2
    y = front + part * (back - front)
    inner = np.interp(part, _FRACTIONS, inner_mm)
    outer = np.maximum(_wall_x(z_mm, y), inner + 2.0)
    inner, outer = np.minimum(inner, outer - 2.0), outer - 1.0
    loop = np.concatenate([np.column_stack([inner, y]), np.column_stack([outer, y])[::-1]])
    return frame.mirrored(loop, side)


def _wall_x(z_mm: float, y_mm: np.ndarray) -> np.ndarray:
    """Half width of the cage at depth `y_mm`."""
    half_width, front, back = frame.cage(z_mm)
    across = np.abs((y_mm - (front + back) / 2) / ((back - front) / 2)).clip(max=1)
    return half_width * (1 - across**frame.CAGE_EXPONENT) ** (1 / frame.CAGE_EXPONENT)


def abdomen(habitus: Habitus) -> dict[str, Organ]:
    """The two half-domes of the diaphragm with fat inside, then the organs in that fat."""
    enhanced = habitus.contrast_hu
    return {
        "diaphragm": Organ(
            "diaphragm",
            (Layer(tissues.MUSCLE), Layer(tissues.FAT, 2.5, "abdomen")),
            (_dome(-1), _dome(1), _below_recess()),
            over=("lung_right", "lung_left", "lung_vessel", "mediastinum", "abdomen", "diaphragm"),
        ),
        "liver": _soft("liver", tissues.LIVER + 0.25 * enhanced, _liver()),
        "spleen": _soft(
            "spleen",
            tissues.SPLEEN + 0.45 * enhanced,
            frame.ellipsoid((80, 36, -108), (36, 46, 50), rotate_deg=-40, shear=(0.1, 0.1)),
        ),
        "stomach": Organ(
            "stomach",
            (Layer(70.0), Layer(tissues.STOMACH, 3.0)),
            (frame.ellipsoid((58, -22, -112), (42, 50, 46), rotate_deg=-20, shear=(0.2, 0.0)),),
            over=_INSIDE,
        ),
        "stomach.gas": Organ(
            "stomach",
            (Layer(-920.0),),
            (frame.ellipsoid((66, -58, -112), (20, 12, 26)),),
            over=("stomach",),
        ),
        "kidneys": Organ(
            "kidney",
            (Layer(tissues.KIDNEY + 0.7 * enhanced), Layer(tissues.KIDNEY + 0.3 * enhanced, 12.0)),
            (
                frame.ellipsoid((56, 44, -172), (24, 29, 52), rotate_deg=40),
                frame.ellipsoid((-56, 46, -186), (24, 29, 52), rotate_deg=-40),
            ),
            over=_INSIDE,
        ),
        "diaphragm.crura": Organ(
            "diaphragm",
            (Layer(tissues.MUSCLE),),
            tuple(
                Tube.along(
                    [(s * 16, 14, -84), (s * 18, 22, -120), (s * 18, 26, -200)], [4, 6, 7], 0.0
                )
                for s in (1, -1)
            ),
            over=("abdomen", "mediastinum"),
        ),
    }


def _soft(label: str, hu: float, piece: ClosedCurves) -> Organ:
    return Organ(label, (Layer(hu),), (piece,), over=_INSIDE)


def _dome(side: int) -> ClosedCurves:
    """A half-dome: at each level the curve where it cuts the plane, growing until it meets the wall.

    Towards a direction phi the diaphragm is close to an ellipse of height top - wall(phi): it is
    flat above and steep at its edge.
    """
    (x, y, top), (front, lateral, back, inner) = _DOMES[side]
    depths = [0.05, 0.8, 2.5, 6, 11, 18, 26, 34, 42, 50, 58, 66, 75]
    phi = np.arange(24) * 2 * np.pi / 24  # 0: outwards, 90 degrees: back
    outward, backward = np.cos(phi), np.sin(phi)
    meets = np.where(backward > 0, back, front) * backward**2
    # Beside the spine the recess is as deep as behind.
    medial = np.where(backward > 0, back, inner)
    meets = meets + np.where(outward > 0, lateral, medial) * outward**2
    curves, levels = [], []
    for depth in depths:
        z = top - depth
        level = np.clip(depth / (top - meets), 0, 1)
        share = np.sqrt(1 - (1 - level) ** 1.7)
        reach = _reach(side, z, x * side, y, phi) + 4.0
        radius = share * reach + np.clip((depth / (top - meets) - 1) * 60, 0, 6)
        curve = np.column_stack([x * side + radius * outward, y + radius * backward])
        levels.append(z)
        curves.append(frame.mirrored(curve, side))
    return frame.through(levels, curves)


def _reach(side: int, z_mm: float, x: float, y: float, phi: np.ndarray) -> np.ndarray:
    """Distance from (x, y) to the cage outwards, or to 12 mm beyond the midline inwards."""
    steps = np.arange(1.0, 220.0)
    px = x + np.cos(phi)[:, None] * steps
    py = y + np.sin(phi)[:, None] * steps
    _, front, back = frame.cage(z_mm)
    middle, half = (front + back) / 2, (back - front) / 2
    inside = (px < _wall_x(z_mm, py)) & (np.abs(py - middle) < half) & (px > -14)
    return np.where(inside.all(axis=1), steps[-1], steps[np.argmin(inside, axis=1)])


def _below_recess() -> ClosedCurves:
    """Under the deepest recess everything within the cage is abdomen."""
    levels = [-240, -180, -134, -129]
    angles = np.arange(24) * 15.0
    return frame.through(levels, [frame.wall(z, angles, offset_mm=1.0) for z in levels])


def _liver() -> ClosedCurves:
    """Right lobe under the right dome (clipped by it), left lobe in front across the midline."""
    rows = {
        -40: [(-140, -95), (-60, -110), (-10, -90), (4, -60), (0, -24), (-14, -10), (-30, 10),
              (-60, 60), (-100, 100), (-150, 60), (-165, 0), (-160, -60)],
        -80: [(-140, -95), (-60, -110), (20, -100), (58, -76), (54, -48), (10, -24), (-16, 2),
              (-40, 62), (-90, 92), (-145, 60), (-160, 0), (-155, -60)],
        -110: [(-140, -95), (-60, -110), (30, -100), (66, -70), (46, -50), (10, -26), (-22, 10),
               (-44, 60), (-90, 88), (-140, 60), (-155, 0), (-150, -60)],
        -150: [(-130, -90), (-70, -100), (-6, -92), (22, -72), (10, -52), (-16, -30), (-36, 10),
               (-52, 44), (-90, 74), (-130, 50), (-145, 0), (-140, -50)],
        -200: [(-105, -70), (-90, -80), (-60, -80), (-44, -66), (-42, -50), (-48, -30), (-56, 0),
               (-66, 20), (-86, 34), (-106, 20), (-112, -10), (-112, -40)],
    }  # fmt: skip
    return frame.through(list(rows), [np.array(points, dtype=float) for points in rows.values()])
