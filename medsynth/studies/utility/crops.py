"""Squares around lesions, and squares of the same organ where there is none."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsynth.domains import Preset


@dataclass(frozen=True)
class CropPlace:
    """The middle of a crop: slice `k`, `center` (row, column) in pixels."""

    k: int
    center: tuple[float, float]
    positive: bool


def find_places(
    values: np.ndarray,
    spacing_mm: tuple[float, float, float],
    lesions: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    *,
    preset: Preset,
    crop_mm: float,
    without: int,
    name: str,
) -> list[CropPlace]:
    """One place for each lesion (in the slice with most of it), and `without` places elsewhere.

    The others lie in the organ where lesions of the domain can be, so far from every mask that the
    crop shows none of it; they depend on `name` alone, so that another run has the same.

    Args:
        values: (k, j, i) in the domain's units.
        lesions: masks (k, j, i) of what makes a crop positive; each connected part is a lesion.
        others: masks of what else is marked, such as what a reference already showed.
    """
    found = [place for mask in lesions for place in _of_lesions(mask)]
    if without:
        marked = np.zeros(values.shape, bool)
        for mask in (*lesions, *others):
            marked |= mask
        found += _elsewhere(values, spacing_mm, marked, found, preset, crop_mm, without, name)
    return found


def _of_lesions(mask: np.ndarray) -> list[CropPlace]:
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    places = []
    for number in range(1, count + 1):
        areas = (parts == number).sum(axis=(1, 2))
        k = int(areas.argmax())
        row, column = ndimage.center_of_mass(parts[k] == number)
        places.append(CropPlace(k, (float(row), float(column)), True))
    return places


def _elsewhere(
    values: np.ndarray,
    spacing_mm: tuple[float, float, float],
    marked: np.ndarray,
    lesions: Sequence[CropPlace],
    preset: Preset,
    crop_mm: float,
    count: int,
    name: str,
) -> list[CropPlace]:
    """Places in the slices of the lesions; without lesions, in the middle slice."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    slices = sorted({place.k for place in lesions}) or [len(values) // 2]
    finder = next(iter(preset.places.values()))
    places = []
    possible = {}
    for k in slices[:count]:
        region = finder.finder(values[k : k + 1], spacing_mm, preset.body_threshold)[0]
        # The corner of a crop is the farthest that it shows.
        clear = ndimage.distance_transform_edt(~marked[k]) * spacing_mm[0] > crop_mm * np.sqrt(0.5)
        within = _within(marked[k].shape, crop_mm / spacing_mm[0])
        possible[k] = np.flatnonzero(region & clear & within)
    for n in range(count):
        k = slices[n % len(slices)]
        if len(possible[k]):
            row, column = divmod(int(rng.choice(possible[k])), values.shape[2])
            places.append(CropPlace(k, (float(row), float(column)), False))
    return places


def _within(shape: tuple[int, ...], crop_pixels: float) -> np.ndarray:
    """Where a crop shows the image alone: one that ends at its edge would be known by that."""
    inside = np.zeros(shape, bool)
    half = round(crop_pixels / 2)
    inside[half : shape[0] - half, half : shape[1] - half] = True
    return inside


def cut_out(
    plane: np.ndarray, center: tuple[float, float], crop_mm: float, pixel_mm: float
) -> np.ndarray:
    """The square of `crop_mm` around `center` of a slice (j, i); beyond its edge the edge goes on."""
    half = max(2, round(crop_mm / pixel_mm / 2))
    padded = np.pad(plane, half, mode="edge")
    row, column = (round(value) for value in center)
    return padded[row : row + 2 * half, column : column + 2 * half]
