"""Patches at random places inside the body, the same places in the real and the synthetic slice."""

from __future__ import annotations

import numpy as np

from medsynth.domains import Window

SIZE = 48
# Share of a patch that must be body: edges of the body are part of what is judged, air is not.
BODY_SHARE = 0.75


def draw_places(
    inside: np.ndarray, *, count: int, seed: int, size: int = SIZE, share: float = BODY_SHARE
) -> list[np.ndarray]:
    """Corners (row, column) of `count` patches for each slice, (count, 2) int; `inside` (N, H, W).

    A slice in which no patch is body by at least `share` gets none, (0, 2).

    Raises:
        ValueError: fewer than four slices have a place.
    """
    if min(inside.shape[1:]) < size:
        raise ValueError(
            f"slices of {inside.shape[1]} x {inside.shape[2]} pixels are smaller than a patch of "
            f"{size} x {size}"
        )
    places = [
        _in_slice(
            plane, count=count, size=size, share=share, rng=np.random.default_rng((seed, index))
        )
        for index, plane in enumerate(inside)
    ]
    usable = sum(len(corners) > 0 for corners in places)
    if usable < 4:
        raise ValueError(
            f"only {usable} of {len(inside)} slices have a place for a patch of {size} x {size} "
            f"pixels of which {share:.0%} is body; at least 4 are needed"
        )
    return places


def _in_slice(
    plane: np.ndarray, *, count: int, size: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    # Summed-area table: body pixels of every patch at once.
    total = np.pad(plane.astype(np.int64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    pixels = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
    pixels += total[:-size, :-size]
    corners = np.argwhere(pixels >= share * size * size)
    return corners[rng.integers(len(corners), size=count)] if len(corners) else corners


def cut(planes: np.ndarray, places: list[np.ndarray], *, size: int = SIZE) -> np.ndarray:
    """The patches of `planes` (N, H, W), slice after slice: (M, size, size)."""
    return np.stack(
        [
            plane[row : row + size, column : column + size]
            for plane, corners in zip(planes, places, strict=True)
            for row, column in corners
        ]
    )


def windowed(planes: np.ndarray, window: Window) -> np.ndarray:
    """`planes` as the window shows them, 0 to 1, float32; rounded to whole units first.

    Real images hold whole units, and synthetic ones do once they are exported: a classifier must not
    be able to tell them apart by digits that nobody receives.
    """
    low, high = window.limits
    seen = (np.clip(np.rint(planes), low, high) - low) / (high - low)
    return seen.astype(np.float32)
