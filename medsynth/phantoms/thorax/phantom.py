"""The thorax phantom: organs put together, scaled to a habitus, deformed a little, rendered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.phantoms.files import load_control_points
from medsynth.phantoms.render import RenderedPhantom, VoxelGrid, render
from medsynth.phantoms.thorax import (
    chest,
    habitus,
    mediastinum,
    skeleton,
    tissues,
    trunk,
    vessel_tree,
)
from medsynth.phantoms.thorax.habitus import Habitus
from medsynth.phantoms.thorax.shape import ClosedCurves, Layer, Organ, ThoraxShape

# Lung apex to below the costophrenic recess, with a margin.
WHOLE_MM = (-150.0, 158.0)


def shape(*, seed: int = 0, **overrides: float | str | bool) -> ThoraxShape:
    """Control points of a random thorax.

    Args:
        seed: the person; the same seed gives the same control points.
        **overrides: parameters of `Habitus` to set instead of drawing them, e.g. `heart=1.4`.

    Raises:
        ValueError: a parameter out of its range, or a seed that is no whole number >= 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    generator = np.random.default_rng(int(seed))
    person = habitus.draw(generator, overrides)
    organs = trunk.organs(person) | chest.lungs(person)
    organs |= _lung_vessels(organs, person, int(seed))
    organs |= mediastinum.organs(person) | chest.abdomen(person) | skeleton.organs()
    warp = _deformation(person, generator)
    deformed = {
        name: organ if name == "table" else organ.mapped(warp) for name, organ in organs.items()
    }
    return ThoraxShape(deformed, dataclasses.asdict(person), int(seed))


def thorax(
    *,
    seed: int | None = None,
    slices: int | None = None,
    spacing_mm: tuple[float, float, float] = (0.7, 0.7, 3.0),
    size: tuple[int, int] = (512, 512),
    level_mm: float | None = None,
    control_points: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    **overrides: float | str | bool,
) -> RenderedPhantom:
    """A rendered thorax phantom.

    Args:
        seed: the person; None is 0.
        slices: number of axial slices; None: the whole thorax; 1: a single slice.
        spacing_mm: voxel spacing x, y, z.
        size: columns, rows.
        level_mm: z of the stack's middle; None: mid-lung (0), or the thorax' middle when whole.
        control_points: a file of `save_control_points` to render instead of drawing a person; then
            neither a seed nor overrides may be given.
        progress: called after each slice with (done, total).
        **overrides: see `shape`.
    """
    if control_points is None:
        plain = all(isinstance(v, int | float | str) for v in (seed or 0, *overrides.values()))
        person = (_last_person if plain else shape)(seed=seed or 0, **overrides)
    elif seed is not None or overrides:
        given = ", ".join(["seed"] * (seed is not None) + list(overrides))
        raise ValueError(f"control_points already say who the phantom is; remove {given}")
    else:
        person = load_control_points(control_points)
    return render(person, grid_for(person, slices, spacing_mm, size, level_mm), progress=progress)


@lru_cache(maxsize=1, typed=True)
def _last_person(*, seed: int, **overrides: float | str | bool) -> ThoraxShape:
    """The person drawn last stays: slices of one person at many heights need one drawing."""
    return shape(seed=seed, **overrides)


def grid_for(
    person: ThoraxShape,
    slices: int | None,
    spacing_mm: tuple[float, float, float],
    size: tuple[int, int],
    level_mm: float | None,
) -> VoxelGrid:
    """The voxel grid of a request; `slices` None covers the whole thorax of `person`."""
    x_mm, y_mm, z_mm = _numbers("spacing_mm", spacing_mm, 3)
    columns, rows = _whole("size", size, 2)
    level = 0.0 if level_mm is None else _numbers("level_mm", [level_mm], 1)[0]
    low, high = (z * float(person.habitus.get("height", 1.0)) for z in WHOLE_MM)
    if slices is not None:
        (count,) = _whole("slices", [slices], 1)
        return VoxelGrid((columns, rows, count), (x_mm, y_mm, z_mm), level)
    one = VoxelGrid((columns, rows, 1), (x_mm, y_mm, z_mm))  # checks what is divided by
    count = max(1, round((high - low) / one.spacing_mm[2]))
    middle = (low + high) / 2 if level_mm is None else level
    return VoxelGrid((columns, rows, count), (x_mm, y_mm, z_mm), middle)


def _whole(name: str, given: Any, count: int) -> list[int]:
    """`given` as `count` whole numbers; ValueError when it is something else."""
    numbers = _numbers(name, given, count)
    if any(number % 1 for number in numbers):  # also infinite and NaN
        raise ValueError(
            f"{name} must be whole numbers from 1 to 2048, got {given[0] if count == 1 else given}"
        )
    return [int(number) for number in numbers]


def _numbers(name: str, given: Any, count: int) -> tuple[float, ...]:
    """`given` as `count` numbers; ValueError when it is something else."""
    values = given if isinstance(given, list | tuple | np.ndarray) else [given]
    right = all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)
    if len(values) != count or not right:
        one = given[0] if count == 1 else given
        raise ValueError(f"{name} must be {count} number{'s' * (count > 1)}, got {one!r}")
    return tuple(v.item() if isinstance(v, np.number) else v for v in values)


def _lung_vessels(organs: dict[str, Organ], person: Habitus, seed: int) -> dict[str, Organ]:
    trees = []
    for number, side in enumerate(("right", "left")):
        pieces = organs[f"lung_{side}"].pieces
        lung = next(piece for piece in pieces if isinstance(piece, ClosedCurves))
        hilum = np.array(mediastinum.HILA[side])
        for kind, (leaves, drop) in enumerate(((420, 0.0), (340, -14.0))):
            root = hilum + np.array([0, 0, drop])
            trees.append(vessel_tree.grow(lung, root, leaves=leaves, seed=[seed, number, kind]))
    blood = tissues.BLOOD + person.contrast_hu
    return {
        "lung_vessels": Organ(
            "lung_vessel",
            (Layer(blood),),
            tuple(trees),
            over=("lung_right", "lung_left", "lung_vessel"),
        )
    }


def _deformation(person: Habitus, generator: np.random.Generator) -> Callable:
    """Scale to the person's size, then a smooth random displacement of a few mm.

    The displacement is a sum of plane waves of 180 mm and longer: neighboring organs move
    together, so nothing is torn or folded (its gradient stays below 0.2).
    """
    scale = np.array([person.width, person.depth, person.height])
    waves = generator.standard_normal((6, 3)) / 3**0.5 * 2 * np.pi / 260
    longest = np.linalg.norm(waves, axis=1, keepdims=True)
    waves *= np.minimum(1, 2 * np.pi / 180 / np.maximum(longest, 1e-9))
    phase = generator.uniform(0, 2 * np.pi, 6)
    amplitude = generator.standard_normal((6, 3)).clip(-2, 2) * (1.4, 1.4, 2.0) * person.variation

    def warp(points: np.ndarray) -> np.ndarray:
        scaled = points * scale
        return scaled + np.sin(points @ waves.T + phase) @ amplitude

    return warp
