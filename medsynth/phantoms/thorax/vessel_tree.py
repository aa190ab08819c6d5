"""Branching pulmonary arteries and veins that fill a lung."""

from __future__ import annotations

import numpy as np

from medsynth.phantoms.thorax.shape import ClosedCurves, Tree

LEAF_RADIUS_MM = 0.8
CLEARANCE_MM = 6.0  # the outer rim of the lung shows no vessels
LEVEL_MM = 2.0
# Weight of the way back to the root against the new branch's length: 0 gives the shortest network,
# 1 a bush of straight branches (Cuntz et al., PLoS Comput Biol 2010;6:e1000877).
BALANCE = 0.45


def grow(lung: ClosedCurves, root_mm: np.ndarray, *, leaves: int, seed: list[int]) -> Tree:
    """A tree from `root_mm` (3,) to `leaves` random points of `lung`, radii by Murray's law."""
    generator = np.random.default_rng(seed)
    targets = _points_within(lung, leaves, generator)
    targets = targets[np.argsort(np.linalg.norm(targets - root_mm, axis=1))]
    points = np.vstack([root_mm, targets])
    parents = np.zeros(len(points), dtype=int)
    path = np.zeros(len(points))
    for node in range(1, len(points)):
        reach = np.linalg.norm(points[:node] - points[node], axis=1)
        parents[node] = np.argmin(reach + BALANCE * path[:node])
        path[node] = path[parents[node]] + reach[parents[node]]
    return Tree(_relaxed(points, parents), parents, _murray(parents))


def _points_within(lung: ClosedCurves, count: int, generator: np.random.Generator) -> np.ndarray:
    """Uniform random points (count, 3) in the lung, CLEARANCE_MM from its outline in the plane."""
    curve = lung.contours()
    low_z, high_z = lung.z_range_mm
    levels = np.arange(low_z + 4, high_z - 4, LEVEL_MM)
    outlines = np.stack([curve(z, 64) for z in levels])
    low, high = outlines.min(axis=(0, 1)), outlines.max(axis=(0, 1))
    batches: list[np.ndarray] = []
    while sum(map(len, batches)) < count:
        level = generator.integers(len(levels), size=4 * count)
        place = generator.uniform(low, high, (4 * count, 2))
        z = levels[level] + generator.uniform(-0.5, 0.5, 4 * count) * LEVEL_MM
        outline = outlines[level]
        gap = np.linalg.norm(outline - place[:, None], axis=-1).min(axis=1)
        kept = _is_inside(place, outline) & (gap > CLEARANCE_MM)
        batches.append(np.column_stack([place, z])[kept])
    return np.concatenate(batches)[:count]


def _is_inside(points: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Whether each of `points` (N, 2) is in its outline (N, S, 2): even-odd rule."""
    x, y = outlines[..., 0], outlines[..., 1]
    next_x, next_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    spans = (y > points[:, 1:]) != (next_y > points[:, 1:])
    slope = (next_x - x) / np.where(spans, next_y - y, 1.0)
    right = x + (points[:, 1:] - y) * slope > points[:, :1]
    return np.sum(spans & right, axis=1) % 2 == 1


def _murray(parents: np.ndarray) -> np.ndarray:
    """Radii with r_parent^3 = sum of r_child^3 (Murray, PNAS 1926;12:207)."""
    cubes = np.full(len(parents), LEAF_RADIUS_MM**3)
    is_leaf = ~np.isin(np.arange(len(parents)), parents[1:])
    cubes[~is_leaf] = 0
    for node in range(len(parents) - 1, 0, -1):
        cubes[parents[node]] += cubes[node]
    return np.cbrt(cubes)


def _relaxed(points: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Inner nodes pulled a third of the way towards their neighbors' mean: fewer kinks."""
    total, count = points[parents].copy(), np.ones(len(points))
    np.add.at(total, parents[1:], points[1:])
    np.add.at(count, parents[1:], 1)
    relaxed = points * 0.66 + 0.34 * total / count[:, None]
    relaxed[0] = points[0]
    return relaxed
