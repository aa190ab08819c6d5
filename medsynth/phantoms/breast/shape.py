"""The breast as curves: outline, pectoral muscle and glandular disc of one person in one view.

The frame is the mammogram's, in mm: x from the chest wall towards the nipple, y downwards from the upper
edge, a left breast. A right one is the same, mirrored when it is drawn.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.errors import check_one_of
from medsynth.phantoms.control_point_text import read_content
from medsynth.phantoms.splines import closed_control_through, open_control_through

FORMAT = "medsynth-breast-control-points"
VERSION = 1
HEIGHT_MM = 208.0  # height of the mammogram: 832 pixels of 0.25 mm
VIEWS = ("MLO", "CC")
LATERALITIES = ("L", "R")
# Share of the breast's area that is dense, drawn within the category: quartiles of the ACR BI-RADS
# atlas, 4th ed. (2003), the last that defined the categories by area.
DENSITIES = {
    "fatty": (0.05, 0.2),
    "scattered": (0.28, 0.46),
    "heterogeneous": (0.53, 0.7),
    "dense": (0.78, 0.9),
}
# Lowest and highest; a test holds the table of medsynth.request.phantom equal.
RANGES = {"nipple_mm": (55.0, 115.0), "glandular": (0.02, 0.95)}
# Drawn where not given: chest wall to nipple.
USUAL_NIPPLE_MM = (68.0, 104.0)


@dataclass(frozen=True, eq=False)
class BreastShape:
    """Everything a breast is drawn from; B-spline control points in mm, (N, 2).

    Attributes:
        outline: open curve of the skin from the upper edge to the chest wall below.
        pectoral: open curve of the muscle's border from the upper edge to the chest wall; None in CC.
        gland: closed curve around the glandular disc, within which tissue tends to be dense.
        nipple_mm: its tip.
        glandular: share of the breast's area that is dense.
        seed: of the texture; the curves hold everything else.
    """

    view: str
    laterality: str
    density: str
    outline: np.ndarray
    gland: np.ndarray
    nipple_mm: np.ndarray
    glandular: float
    pectoral: np.ndarray | None = None
    seed: int = 0
    habitus: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _word("view", self.view, VIEWS)
        _word("laterality", self.laterality, LATERALITIES)
        _word("density", self.density, tuple(DENSITIES))
        _within("glandular", self.glandular)
        for name, least in (("outline", 4), ("gland", 4), ("pectoral", 3)):
            points = getattr(self, name)
            if points is not None:
                object.__setattr__(self, name, _points(name, points, least))
        object.__setattr__(self, "nipple_mm", _points("nipple_mm", [self.nipple_mm], 1)[0])


def breast_shape(
    *,
    seed: int = 0,
    view: str = "MLO",
    laterality: str = "L",
    density: str | None = None,
    nipple_mm: float | None = None,
    glandular: float | None = None,
) -> BreastShape:
    """Control points of a random breast.

    Args:
        seed: the person; the same seed gives the same control points.
        view: MLO or CC.
        laterality: L or R.
        density: fatty, scattered, heterogeneous or dense; None draws one.
        nipple_mm: chest wall to nipple; None draws it.
        glandular: share of the area that is dense; None draws it within `density`.

    Raises:
        ValueError: a value out of its range, or a seed that is no whole number >= 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    _word("view", view, VIEWS)
    # Drawn in this order whether given or not: giving one moves no other.
    generator = np.random.default_rng([int(seed), 41])
    drawn_density = tuple(DENSITIES)[generator.choice(4, p=(0.1, 0.4, 0.4, 0.1))]
    density = _word("density", density or drawn_density, tuple(DENSITIES))
    reach = generator.uniform(*USUAL_NIPPLE_MM)
    low, high = DENSITIES[density]
    share = low + generator.random() * (high - low)
    reach = _within("nipple_mm", reach if nipple_mm is None else nipple_mm)
    share = _within("glandular", share if glandular is None else glandular)
    curves = _mlo(reach, generator) if view == "MLO" else _cc(reach, generator)
    return BreastShape(
        view,
        laterality,
        density,
        glandular=round(float(share), 4),
        seed=int(seed),
        habitus={"nipple_mm": round(float(reach), 2)},
        **curves,
    )


def breast_shape_of(*, control_points: str | Path | None = None, **person: Any) -> BreastShape:
    """The shape in a file of control points, or that of `breast_shape(**person)`.

    Raises:
        ValueError: both are given, or what `breast_shape` and `load_breast` say.
    """
    given = {key: value for key, value in person.items() if value is not None}
    if control_points is None:
        return breast_shape(**given)
    if given:
        raise ValueError(
            f"control_points already say who the phantom is; remove {', '.join(given)}"
        )
    return load_breast(control_points)


def _mlo(reach: float, generator: np.random.Generator) -> dict[str, Any]:
    """Oblique view: the axilla above, the muscle's triangle, the breast hanging, the fold below."""
    jitter = generator.normal(0, 1, (16, 2)).clip(-2, 2)
    height = generator.uniform(118, 138)  # of the nipple
    axilla = reach * generator.uniform(0.42, 0.62)
    low = min(height + reach * generator.uniform(0.62, 0.78), 200)
    above = [(0.83, 0.54), (0.96, 0.27)]
    below = np.deg2rad([24, 46, 66, 82])
    way = np.array(
        [
            (axilla + 6, -30.0),
            (axilla, 5),
            (axilla * 1.03, 34),
            *[(reach * x, height - reach * y) for x, y in above],
            (reach, height),
            *[
                (reach * np.cos(a) ** 0.8, height + (low - height) * np.sin(a) ** 1.1)
                for a in below
            ],
            (-30, low + 3),
        ]
    )
    steady = np.array([0, 0, 1, 1, 0.5, 0, 0.5, 0.8, 0.4, 0, 0])[:, None]
    outline = way + steady * jitter[:11] * (1.4, 1.6)
    top, foot = generator.uniform(34, 56), generator.uniform(95, 150)
    top = min(top, 0.8 * axilla)
    bulge = generator.uniform(-2, 6)
    muscle = np.array(
        [
            (top * 1.24, -0.2 * foot - 4),
            (top, 0),
            (top * 0.7 + bulge, foot * 0.32),
            (top * 0.36 + bulge, foot * 0.66),
            (0, foot),
            (-12, foot * 1.18),
        ]
    )
    center = np.array([0.52 * reach, height - 8])
    gland = _disc(center, (0.42 * reach, 0.40 * (low - 40)), generator, upper=0.22)
    return {
        "outline": open_control_through(outline),
        "pectoral": open_control_through(muscle),
        "gland": gland,
        "nipple_mm": np.array([reach, height]),
    }


def _cc(reach: float, generator: np.random.Generator) -> dict[str, Any]:
    """Seen from above: half an ellipse on the chest wall, the muscle out of sight."""
    jitter = generator.normal(0, 1, (9, 2)).clip(-2, 2)
    middle = HEIGHT_MM / 2 + generator.uniform(-8, 8)
    half = min(reach * generator.uniform(0.8, 1.0), middle - 6, HEIGHT_MM - middle - 6)
    angle = np.linspace(-1, 1, 7) * np.pi / 2
    arc = np.stack([reach * np.cos(angle) ** 0.8, middle + half * np.sin(angle)], axis=1)
    way = np.vstack([[(-30, middle - half - 4)], arc, [(-30, middle + half + 4)]])
    steady = np.array([0, 0.5, 1, 0.7, 0, 0.7, 1, 0.5, 0])[:, None]
    outline = way + steady * jitter * (1.6, 1.8)
    center = np.array([0.5 * reach, middle - 0.06 * half])
    return {
        "outline": open_control_through(outline),
        "gland": _disc(center, (0.4 * reach, 0.6 * half), generator, upper=0.1),
        "nipple_mm": np.array([reach, middle]),
    }


def _disc(
    center: np.ndarray, half_axes: tuple[float, float], generator: np.random.Generator, upper: float
) -> np.ndarray:
    """The glandular disc; drawn out upwards, as most of it lies in the upper outer quadrant."""
    angle = np.arange(10) / 10 * 2 * np.pi
    radius = 1 + generator.normal(0, 0.09, 10).clip(-0.2, 0.2) - upper * np.sin(angle).clip(-1, 0)
    points = center + np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] * half_axes
    return closed_control_through(points)


def breast_content(shape: BreastShape) -> dict[str, Any]:
    """What a control point file says of `shape`; lengths in mm."""
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    for each in dataclasses.fields(shape):
        value = getattr(shape, each.name)
        content[each.name] = np.round(value, 3).tolist() if isinstance(value, np.ndarray) else value
    return content


def load_breast(path: str | Path) -> BreastShape:
    """Read what `save_control_points` wrote of a breast, after any edits.

    Raises:
        ValueError: not such a file, or an edit left something that cannot be drawn.
    """
    path = Path(path)
    content = read_content(path, file_format=FORMAT, version=VERSION, kind="a breast")
    entries = {key: value for key, value in content.items() if key not in ("format", "version")}
    try:
        return BreastShape(**entries)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _points(name: str, points: Any, least: int) -> np.ndarray:
    try:
        array = np.array(points, dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < least or not np.isfinite(array).all():
        raise ValueError(f"{name} must be at least {least} points [x, y] in mm")
    return array


def _word(name: str, value: Any, words: tuple[str, ...]) -> str:
    check_one_of(name, value, words)
    return value


def _within(name: str, value: Any) -> float:
    low, high = RANGES[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and low <= value <= high):
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    return float(value)
