"""Cubic B-splines: closed curves, open curves, and control points interpolated along z.

Uniform cubic B-splines (de Boor, "A Practical Guide to Splines", 1978): moving one control point
changes the curve only between its two neighbors on either side, which is what makes them
pleasant to edit by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.interpolate import BSpline, PchipInterpolator
from scipy.linalg import solve_circulant


@lru_cache(maxsize=32)
def closed_basis(control_count: int, samples: int) -> np.ndarray:
    """(samples, control_count) weights: closed curve = weights @ control points."""
    parameter = np.arange(samples) * control_count / samples
    span = np.floor(parameter).astype(int)
    u = parameter - span
    blends = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    weights = np.zeros((samples, control_count))
    for offset, blend in enumerate(blends, start=-1):
        np.add.at(weights, (np.arange(samples), (span + offset) % control_count), blend / 6)
    return weights


def closed_control_through(points: np.ndarray) -> np.ndarray:
    """Control points (P, D) of the closed cubic B-spline that passes through `points` (P, D)."""
    column = np.zeros(len(points))
    column[[0, 1, -1]] = 4 / 6, 1 / 6, 1 / 6
    return solve_circulant(column, points)


@lru_cache(maxsize=64)
def open_basis(control_count: int, samples: int) -> np.ndarray:
    """(samples, control_count) weights of a clamped B-spline: it starts and ends on its ends."""
    return _open_design(control_count, np.linspace(0, 1, samples))


def open_control_through(points: np.ndarray) -> np.ndarray:
    """Control points (P, D) of the clamped cubic B-spline that passes through `points` (P, D)."""
    degree, knots = _clamped_knots(len(points))
    # Greville abscissae: one interpolation site per control point, always solvable.
    sites = np.array([knots[i + 1 : i + 1 + degree].mean() for i in range(len(points))])
    return np.linalg.solve(_open_design(len(points), sites), points)


def _clamped_knots(control_count: int) -> tuple[int, np.ndarray]:
    degree = min(3, control_count - 1)
    inner = np.linspace(0, 1, control_count - degree + 1)
    return degree, np.concatenate([np.zeros(degree), inner, np.ones(degree)])


def _open_design(control_count: int, parameters: np.ndarray) -> np.ndarray:
    degree, knots = _clamped_knots(control_count)
    return BSpline.design_matrix(np.clip(parameters, 0, 1), knots, degree).toarray()


def between_levels(levels_mm: np.ndarray, values: np.ndarray) -> Callable[..., np.ndarray]:
    """A function z (any shape) -> `values` (L, ...), given at rising `levels_mm` (L,), at z.

    Monotone piecewise-cubic splines (Fritsch & Carlson 1980): between two levels a contour never
    swings beyond both of them. Outside the levels the end value is held.
    """
    spline = PchipInterpolator(levels_mm, values, axis=0)
    return lambda z_mm: spline(np.clip(z_mm, levels_mm[0], levels_mm[-1]))
