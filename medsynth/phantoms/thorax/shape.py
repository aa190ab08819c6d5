"""What a phantom is made of: organs, each a few B-spline curves or tubes with control points.

Coordinates are LPS millimeters: x to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medsynth.phantoms import splines

Mm3 = tuple[float, float, float]


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class ClosedCurves:
    """One closed curve per axial level; between levels the control points follow a spline.

    Attributes:
        levels_mm: (L,) z of each level, rising, at least two.
        points_mm: (L, P, 2) control points x, y of each level's closed cubic B-spline, P >= 4.
    """

    levels_mm: np.ndarray
    points_mm: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels_mm", np.asarray(self.levels_mm, dtype=float))
        object.__setattr__(self, "points_mm", np.asarray(self.points_mm, dtype=float))
        levels, points = self.levels_mm, self.points_mm
        if levels.ndim != 1 or len(levels) < 2 or not np.all(np.diff(levels) > 0):
            raise ValueError(f"levels_mm must be at least two rising numbers, got {levels}")
        if points.ndim != 3 or len(points) != len(levels) or points.shape[1:] < (4, 2):
            raise ValueError(
                f"points_mm must be (levels {len(levels)}, at least 4 points, x and y), "
                f"got shape {points.shape}"
            )
        _check_finite(points)

    @property
    def z_range_mm(self) -> tuple[float, float]:
        return float(self.levels_mm[0]), float(self.levels_mm[-1])

    def contours(self) -> Callable[[float, int], np.ndarray]:
        """A function (z_mm, samples) -> the curve in that plane, (samples, 2)."""
        control_at = splines.between_levels(self.levels_mm, self.points_mm)
        count = self.points_mm.shape[1]
        return lambda z_mm, samples: splines.closed_basis(count, samples) @ control_at(z_mm)

    def mapped(self, warp) -> ClosedCurves:
        """Control points through `warp`: (N, 3) mm -> (N, 3) mm; a level keeps one z (its mean)."""
        levels, points = [], []
        for z, control in zip(self.levels_mm, self.points_mm, strict=True):
            moved = warp(np.column_stack([control, np.full(len(control), z)]))
            levels.append(moved[:, 2].mean())
            points.append(moved[:, :2])
        return ClosedCurves(np.array(levels), np.array(points))


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Tube:
    """A vessel, bronchus or bone along an open B-spline.

    Attributes:
        points_mm: (P, 3) control points x, y, z, P >= 2.
        radius_mm: (P,) radius at each control point, > 0.
        half_height_mm: half the extent along z where the section is taller than wide (a rib is a
            flat band); 0: the section is round.
    """

    points_mm: np.ndarray
    radius_mm: np.ndarray
    half_height_mm: float = 0.0

    @classmethod
    def along(cls, points_mm: ArrayLike, radius_mm: ArrayLike, half_height_mm: float = 0.0) -> Tube:
        """From rows of numbers, and a radius at each or one for all."""
        points = np.asarray(points_mm, dtype=float)
        return cls(points, np.broadcast_to(radius_mm, len(points)), half_height_mm)

    def __post_init__(self) -> None:
        points = np.asarray(self.points_mm, dtype=float)
        radius = np.broadcast_to(np.asarray(self.radius_mm, dtype=float), len(points)).copy()
        object.__setattr__(self, "points_mm", points)
        object.__setattr__(self, "radius_mm", radius)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
            raise ValueError(f"points_mm must be (at least 2, 3), got shape {points.shape}")
        _check_finite(points)
        if not np.all(radius > 0):
            raise ValueError(f"radius_mm must be above 0, got {radius.min():g}")

    @property
    def z_range_mm(self) -> tuple[float, float]:
        reach = max(self.half_height_mm, float(self.radius_mm.max()))
        return float(self.points_mm[:, 2].min()) - reach, float(self.points_mm[:, 2].max()) + reach

    def spheres(self) -> np.ndarray:
        """(N, 4): x, y, z, radius of spheres a quarter radius apart along the tube."""
        length = np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum()
        step = max(0.3, 0.25 * float(self.radius_mm.min()))
        samples = max(2, int(np.ceil(length / step)) + 1)
        basis = splines.open_basis(len(self.points_mm), samples)
        return basis @ np.column_stack([self.points_mm, self.radius_mm])

    def mapped(self, warp) -> Tube:
        """Control points through `warp`: (N, 3) mm -> (N, 3) mm; the radius stays."""
        return dataclasses.replace(self, points_mm=warp(self.points_mm))


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Tree:
    """A branching vessel: each node but the root hangs on a parent; branches are straight, tapering.

    Attributes:
        points_mm: (N, 3) nodes x, y, z.
        parents: (N,) index of each node's parent, itself for the root; a parent comes first.
        radius_mm: (N,) radius at each node, > 0.
    """

    points_mm: np.ndarray
    parents: np.ndarray
    radius_mm: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", np.asarray(self.points_mm, dtype=float))
        object.__setattr__(self, "parents", np.asarray(self.parents, dtype=int))
        object.__setattr__(self, "radius_mm", np.asarray(self.radius_mm, dtype=float))
        count = len(self.points_mm)
        if self.points_mm.shape != (count, 3) or len(self.parents) != count:
            raise ValueError(f"a tree needs (N, 3) nodes, N parents; got {self.points_mm.shape}")
        if np.any(self.parents > np.arange(count)) or np.any(self.parents < 0):
            raise ValueError("each node's parent must come before it in the list")
        _check_finite(self.points_mm)
        if len(self.radius_mm) != count or not np.all(self.radius_mm > 0):
            raise ValueError(f"radius_mm must be {count} numbers above 0")

    @property
    def half_height_mm(self) -> float:
        return 0.0

    @property
    def z_range_mm(self) -> tuple[float, float]:
        reach = float(self.radius_mm.max())
        return float(self.points_mm[:, 2].min()) - reach, float(self.points_mm[:, 2].max()) + reach

    def spheres(self) -> np.ndarray:
        """(N, 4): x, y, z, radius of spheres at most half a radius apart along the branches."""
        nodes = np.column_stack([self.points_mm, self.radius_mm])
        start, end = nodes[self.parents], nodes
        length = np.linalg.norm(end[:, :3] - start[:, :3], axis=1)
        counts = np.maximum(1, np.ceil(length / np.maximum(0.3, 0.5 * end[:, 3]))).astype(int)
        branch = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(branch)) - np.repeat(np.cumsum(counts) - counts, counts)
        part = ((within + 1) / counts[branch])[:, None]
        return start[branch] * (1 - part) + end[branch] * part

    def mapped(self, warp) -> Tree:
        """Nodes through `warp`: (N, 3) mm -> (N, 3) mm; the radius stays."""
        return dataclasses.replace(self, points_mm=warp(self.points_mm))


Geometry = ClosedCurves | Tube | Tree


@dataclass(frozen=True)
class Layer:
    """One paint of an organ: everything deeper than `inset_mm` below its surface has this HU.

    A negative inset paints a rim outside the curve (a bronchus' wall). `label` overrides the
    organ's own (the diaphragm muscle holds abdominal fat).
    """

    hu: float
    inset_mm: float = 0.0
    label: str | None = None


@dataclass(frozen=True)
class Organ:
    """Pieces of geometry that are painted together.

    Attributes:
        label: name in the label map.
        layers: painted in this order, outside in.
        pieces: curves, tubes, trees.
        over: labels this organ may cover (it is clipped to them); empty: whatever is there.
    """

    label: str
    layers: tuple[Layer, ...]
    pieces: tuple[Geometry, ...]
    over: tuple[str, ...] = ()

    def mapped(self, warp) -> Organ:
        """The organ with every control point moved through `warp`."""
        return dataclasses.replace(self, pieces=tuple(piece.mapped(warp) for piece in self.pieces))


@dataclass(frozen=True)
class ThoraxShape:
    """A whole phantom: organs in the order in which they are painted, later over earlier.

    Attributes:
        organs: name -> organ. Parts of an organ are named `heart.left_ventricle`.
        habitus: the drawn parameters (sex, scale, ...), for the record.
        seed: of the texture; the organs hold everything else.
    """

    organs: dict[str, Organ]
    habitus: dict[str, float | str | bool]
    seed: int = 0

    def family(self, name: str) -> list[str]:
        """`name` and its parts; ValueError when there is no such organ."""
        found = [key for key in self.organs if key == name or key.startswith(f"{name}.")]
        if not found:
            near = difflib.get_close_matches(name, self.organs, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no organ {name!r}, expected one of {', '.join(self.organs)}{hint}")
        return found

    def mapped(self, name: str, warp) -> ThoraxShape:
        """A copy in which organ `name` and its parts went through `warp`: (N, 3) -> (N, 3) mm."""
        changed = {key: self.organs[key].mapped(warp) for key in self.family(name)}
        return dataclasses.replace(self, organs=self.organs | changed)

    def moved(self, name: str, offset_mm: Mm3) -> ThoraxShape:
        """A copy in which organ `name` and its parts are shifted by `offset_mm` (x, y, z)."""
        return self.mapped(name, lambda points: points + np.asarray(offset_mm, dtype=float))


def _check_finite(points: np.ndarray) -> None:
    if not np.all(np.isfinite(points)) or np.abs(points).max(initial=0) > 2000:
        raise ValueError("control points must be finite and within 2000 mm of the origin")
