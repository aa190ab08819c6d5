"""B-spline anatomy phantoms: a reference to start from without a patient image."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from medsynth.phantoms.breast.phantom import LABELS as BREAST_LABELS
from medsynth.phantoms.breast.phantom import breast
from medsynth.phantoms.breast.shape import BreastShape, breast_shape, breast_shape_of
from medsynth.phantoms.files import load_control_points, save_control_points
from medsynth.phantoms.render import RenderedPhantom, VoxelGrid, render
from medsynth.phantoms.thorax.habitus import NAMES as HABITUS_NAMES
from medsynth.phantoms.thorax.phantom import shape, thorax
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ, ThoraxShape, Tree, Tube

__all__ = [
    "BREAST_LABELS",
    "PHANTOMS",
    "SHAPES",
    "BreastShape",
    "ClosedCurves",
    "VoxelGrid",
    "Layer",
    "Organ",
    "RenderedPhantom",
    "ThoraxShape",
    "Tree",
    "Tube",
    "breast",
    "breast_shape",
    "breast_shape_of",
    "build",
    "load_control_points",
    "render",
    "save_control_points",
    "shape",
    "thorax",
]

PHANTOMS: dict[str, Callable[..., RenderedPhantom]] = {"thorax": thorax, "breast": breast}
# Control points alone, without drawing them.
SHAPES: dict[str, Callable[..., ThoraxShape | BreastShape]] = {
    "thorax": shape,
    "breast": breast_shape,
}


def build(kind: str, **options: Any) -> RenderedPhantom:
    """The phantom `kind` with the options of a request, e.g. `build("thorax", seed=3, slices=1)`.

    Raises:
        ValueError: no such phantom or option; the message names the nearest match.
    """
    _check(kind, PHANTOMS, "phantom")
    builder = PHANTOMS[kind]
    parameters = inspect.signature(builder).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        known += HABITUS_NAMES
    for name in options:
        _check(name, known, f"option of phantom {kind!r}")
    return builder(**options)


def _check(name: str, known: Any, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown {what} {name!r}, expected one of {', '.join(known)}{hint}")
