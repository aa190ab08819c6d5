"""Spine, ribs, sternum, clavicles and shoulder blades."""

from __future__ import annotations

import numpy as np

from medsynth.phantoms import frame, splines
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ, Tube

_BONE = (Layer(tissues.CORTICAL_BONE), Layer(tissues.MARROW, 1.4))
# Rib: drop from its head to its front end in mm, angle of that end from the front in degrees.
_RIBS: dict[str, tuple[float, float]] = {
    "T1": (26, 34), "T2": (42, 29), "T3": (54, 27), "T4": (63, 26), "T5": (71, 26), "T6": (77, 28),
    "T7": (82, 32), "T8": (84, 38), "T9": (80, 46), "T10": (70, 58), "T11": (46, 96),
    "T12": (26, 128),
}  # fmt: skip


def organs() -> dict[str, Organ]:
    """The bones, in painting order."""
    spine_levels = np.array(list(frame.VERTEBRAE.values()))
    discs = (spine_levels[:-1] + spine_levels[1:]) / 2
    return {
        "shoulder.blades": Organ("bone", _BONE, tuple(_blade(side) for side in (1, -1))),
        "shoulder.humeri": Organ("bone", _BONE, tuple(_humerus(side) for side in (1, -1))),
        "shoulder.clavicles": Organ("bone", _BONE, tuple(_clavicle(side) for side in (1, -1))),
        "spine.bodies": Organ("bone", (_BONE[0], Layer(tissues.MARROW + 15, 1.8)), (_column(),)),
        "spine.endplates": Organ(
            "bone", (Layer(430.0),), tuple(_slab(z, 4.2) for z in discs), over=("bone",)
        ),
        "spine.discs": Organ(
            "cartilage", (Layer(tissues.DISC),), tuple(_slab(z, 2.6) for z in discs), over=("bone",)
        ),
        "spine.arches": Organ("bone", _BONE, tuple(_arches())),
        "spine.canal": Organ("spinal_canal", (Layer(tissues.SPINAL_FLUID),), (_canal(8.2),)),
        "spine.cord": Organ("spinal_canal", (Layer(tissues.CORD),), (_canal(4.8),)),
        "ribs": Organ("bone", _BONE, tuple(_rib(*item) for item in _rib_sides())),
        "ribs.cartilage": Organ(
            "cartilage", (Layer(tissues.CARTILAGE),), tuple(_costal_cartilages())
        ),
        "sternum": Organ("bone", (Layer(480.0), Layer(130.0, 1.6)), (_sternum(),)),
    }


def _body_radii(z_mm: float) -> tuple[float, float]:
    """Half width and half depth of a vertebral body: small in the neck, large in the loin."""
    return float(np.interp(z_mm, (-230, 0, 160), (23, 17, 13))), float(
        np.interp(z_mm, (-230, 0, 160), (18, 15.5, 10))
    )


def _body_curve(z_mm: float, grow_mm: float = 0.0) -> np.ndarray:
    """Kidney-shaped outline, hollow towards the canal."""
    a, b = _body_radii(z_mm)
    points = frame.superellipse((0, 0), (a + grow_mm, b + grow_mm), count=20, exponent=2.4)
    points[:, 1] -= 3.2 * np.exp(-((points[:, 0] / 8) ** 2)) * (points[:, 1] > 0)
    return points + np.array([0, frame.spine_y(z_mm)])


def _column() -> ClosedCurves:
    """Vertebral bodies in one stack, waisted between their end plates."""
    levels, curves = [], []
    centers = np.array(list(frame.VERTEBRAE.values()))
    for z in np.arange(-236, 162, 6.0):
        gap = np.abs(centers - z).min()
        levels.append(z)
        curves.append(_body_curve(z, -1.5 + 1.5 * min(1.0, gap / 10)))
    return frame.through(levels, curves)


def _slab(z_mm: float, half_height_mm: float) -> ClosedCurves:
    levels = [z_mm - half_height_mm, z_mm + half_height_mm]
    return frame.through(levels, [_body_curve(z, 0.5) for z in levels])


def canal_y(z_mm: float) -> float:
    """y of the middle of the spinal canal."""
    return float(frame.spine_y(z_mm)) + _body_radii(z_mm)[1] + 6.5


def _canal(radius_mm: float) -> Tube:
    levels = np.linspace(-236, 168, 14)
    points = np.array([(0, canal_y(z), z) for z in levels])
    return Tube(splines.open_control_through(points), np.full(len(levels), radius_mm))


def _arches() -> list[Tube]:
    """Pedicles, laminae, transverse and spinous processes of each vertebra."""
    tubes = []
    for z in frame.VERTEBRAE.values():
        width, depth = _body_radii(z)
        front, middle = float(frame.spine_y(z)) + depth - 4, canal_y(z)
        for side in (1, -1):
            x = 11.5 * side
            pedicle = [(0.7 * width * side, front, z + 4), (x, middle + 1, z + 3)]
            lamina = [
                (x, middle + 1, z + 2),
                (7 * side, middle + 9, z - 2),
                (0, middle + 13, z - 5),
            ]
            process = [(x, middle + 4, z + 3), (22 * side, middle + 12, z + 4),
                       (33 * side, middle + 17, z + 4)]  # fmt: skip
            tubes += [
                Tube.along(pedicle, 4.0, 6.0),
                Tube.along(lamina, 3.2, 9.0),
                Tube.along(process, [4.0, 3.6, 4.4], 5.0),
            ]
        spinous = [(0, middle + 12, z - 4), (0, middle + 22, z - 11), (0, middle + 32, z - 18)]
        tubes.append(Tube.along(spinous, [3.2, 2.8, 3.4], 7.0))
    return tubes


def _rib_sides() -> list[tuple[str, int]]:
    return [(name, side) for name in _RIBS for side in (1, -1)]


def _rib(name: str, side: int) -> Tube:
    """From the vertebra back to the transverse process, round the cage and down to the front."""
    drop_mm, end_deg = _RIBS[name]
    head_z = frame.VERTEBRAE[name] + 9
    y = float(frame.spine_y(head_z))
    head = [(15, y + 11, head_z), (24, y + 21, head_z + 1)]
    angle = np.linspace(157, end_deg, 11)
    part = (157 - angle) / (157 - end_deg)
    z = head_z + 1 - drop_mm * (0.15 * part + 0.85 * part**1.25)
    course = np.column_stack([frame.wall(z, angle, offset_mm=4.8), z])
    points = frame.mirrored(np.concatenate([head, course]), side)
    radius = np.full(len(points), 3.4)
    return Tube(splines.open_control_through(points), radius, 4.6 if name == "T1" else 6.2)


def _costal_cartilages() -> list[Tube]:
    """From the ribs' front ends to the sternum; the lower ones climb and share an arch."""
    tubes = []
    for index, (name, (drop_mm, end_deg)) in enumerate(list(_RIBS.items())[:9]):
        end_z = frame.VERTEBRAE[name] + 10 - drop_mm
        goal_z = max(end_z + 2, -58 + 2 * (9 - index)) if index < 7 else end_z + 22
        goal_deg = 9 if index < 7 else end_deg - 14
        angle = np.linspace(end_deg, goal_deg, 5)
        z = np.linspace(end_z, goal_z, 5)
        course = np.column_stack([frame.wall(z, angle, offset_mm=5.5), z])
        for side in (1, -1):
            tubes.append(
                Tube.along(splines.open_control_through(frame.mirrored(course, side)), 4.2, 5.5)
            )
    return tubes


def _sternum() -> ClosedCurves:
    rows = [(-74, 4, 3), (-66, 7, 4), (-52, 11, 5), (-44, 17, 6), (0, 18, 6.2), (40, 15, 6.2),
            (58, 14, 6.5), (66, 18, 7), (84, 25, 7.5), (98, 27, 7.5), (106, 18, 6)]  # fmt: skip
    curves = [
        frame.superellipse((0, float(frame.cage(z)[1]) - 8.5), (a, b), exponent=3.0)
        for z, a, b in rows
    ]
    return frame.through([row[0] for row in rows], curves)


def _blade(side: int) -> ClosedCurves:
    """The shoulder blade: a thin plate from its medial border to the socket."""
    rows = [(12, 124, 74, 133, 66), (40, 114, 79, 140, 55), (72, 98, 78, 144, 40),
            (100, 82, 70, 148, 26), (120, 78, 60, 146, 16), (138, 84, 46, 142, 10)]  # fmt: skip
    curves = []
    for _z, x0, y0, x1, y1 in rows:
        part = np.linspace(0, 1, 8)
        along = np.array([x1 - x0, y1 - y0])
        across = np.array([-along[1], along[0]]) / np.hypot(*along)
        # Slightly hollow towards the ribs, thick at its lateral end.
        middle = (
            np.array([x0, y0]) + part[:, None] * along + across * 5 * np.sin(np.pi * part)[:, None]
        )
        half = (1.9 + 3.2 * part**3)[:, None] * across
        curves.append(frame.mirrored(np.concatenate([middle - half, (middle + half)[::-1]]), side))
    return frame.through([row[0] for row in rows], curves)


def _humerus(side: int) -> ClosedCurves:
    rows = [(112, 168, 2, 8), (118, 168, 2, 17), (128, 168, 2, 23), (140, 168, 2, 23),
            (152, 172, 2, 20), (170, 178, 2, 15)]  # fmt: skip
    return frame.through(
        [row[0] for row in rows],
        [frame.superellipse((side * x, y), (r, r)) for _, x, y, r in rows],
    )


def _clavicle(side: int) -> Tube:
    """From beside the sternum up and out, as it lies with the arms raised."""
    points = np.array(
        [(20, -56, 106), (36, -51, 116), (56, -40, 130), (78, -28, 144), (100, -18, 156)]
    )
    points[:, 0] *= side
    return Tube.along(splines.open_control_through(points.astype(float)), [6.5, 5.6, 5.2, 5.2, 5.6])
