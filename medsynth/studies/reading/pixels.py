"""One path for every image, real or synthetic: same values, grid, bit depth, and size in bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.domains.base import GRAY
from medsynth.images.display import to_display_units
from medsynth.images.read import read_image
from medsynth.images.reference import ReferenceImage
from medsynth.studies.reading.candidates import PAIRS, ImageSource, pairs_key
from medsynth.studies.reading.draw import DrawnSlice

HU = "HU"
# Beyond 12 bits lie scanners' padding values; a real image would be known by them.
HU_RANGE = (-1024, 3071)
# Below this no gray value lies: without a header it can only be HU.
SURELY_HU = -200.0


@dataclass(frozen=True, eq=False)
class RawImage:
    """Slices (D, H, W) as their file has them, in HU or in values of a display; pixels (x, y) in mm."""

    values: np.ndarray
    pixel_mm: tuple[float, float]
    units: str


def load_raw(
    source: ImageSource,
    drawn: DrawnSlice,
    *,
    depth: int,
    hu_window: tuple[float, float],
    units: str | None = None,
) -> RawImage:
    """The image in `units`; without, in HU where it has them, else in gray values of a display.

    Raises:
        ValueError: it has no HU, or fewer slices than `depth`.
    """
    path = source.folder / drawn.candidate.path
    reference, at = _reference(source, drawn, depth)
    image = reference.image
    values = sitk.GetArrayViewFromImage(image)
    chosen = _around(min(at, len(values) - 1), depth, len(values), path)
    pixel_mm = (float(image.GetSpacing()[0]), float(image.GetSpacing()[1]))
    is_hu = _is_hu(reference, values)
    if units == HU and not is_hu:
        raise ValueError(f"{source.name}: {path} is not in HU, others are; give --units gray")
    if is_hu and units in (None, HU):
        hu = values[chosen].astype(np.float32)
        if reference.padding is not None:
            hu[reference.padding[chosen]] = HU_RANGE[0]
        return RawImage(hu, pixel_mm, HU)
    if is_hu:  # a window is for each slice alone; the others need not be computed
        values, reference = values[chosen], replace(reference, padding=None)
        return RawImage(
            to_display_units(reference, values, hu_window=hu_window).values, pixel_mm, GRAY
        )
    shown = to_display_units(reference, np.asarray(values), hu_window=None)
    return RawImage(shown.values[chosen], pixel_mm, GRAY)


def _reference(source: ImageSource, drawn: DrawnSlice, depth: int) -> tuple[ReferenceImage, int]:
    """What holds the slice, and where in it; of a series only the files that are needed."""
    candidate = drawn.candidate
    path = source.folder / candidate.path
    if path.suffix == PAIRS:
        planes = _planes(str(path), pairs_key(source))[drawn.k : drawn.k + 1]
        return ReferenceImage(sitk.GetImageFromArray(planes), source=str(path)), 0
    if not candidate.files:
        return _read(str(path), None), drawn.k
    chosen = _around(drawn.k, depth, len(candidate.files), path)
    slices = [read_image(source.folder / candidate.files[k]) for k in chosen]
    if depth == 1:
        return slices[0], 0
    values = np.concatenate([sitk.GetArrayFromImage(s.image) for s in slices])
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(slices[0].image.GetSpacing())
    none = [np.zeros(sitk.GetArrayViewFromImage(s.image).shape, bool) for s in slices]
    padding = np.concatenate(
        [n if s.padding is None else s.padding for n, s in zip(none, slices, strict=True)]
    )
    headers = tuple(header for s in slices for header in s.headers)
    return ReferenceImage(image, headers, str(path), padding=padding), depth // 2


def _is_hu(reference: ReferenceImage, values: np.ndarray) -> bool:
    if reference.headers:
        header = reference.headers[0]
        return header.get("Modality") == "CT" and header.get("RescaleType") in (None, "", HU)
    return bool(values.min() < SURELY_HU)


def _around(k: int, depth: int, there: int, path: Path) -> list[int]:
    if there < depth:
        raise ValueError(
            f"{path} has {there} slices, stacks of {depth} are asked for; ask for fewer (--depth)"
        )
    first = int(np.clip(k - depth // 2, 0, there - depth))
    return list(range(first, first + depth))


@lru_cache(maxsize=2)
def _read(path: str, series: str | None) -> ReferenceImage:
    """The last volumes are kept: several slices of one are drawn one after the other."""
    reference = read_image(path, series_uid=series)
    if reference.is_2d or reference.headers:
        return reference
    # A file of any orientation is shown as radiologists look: patient's right on the left, front up.
    return ReferenceImage(sitk.DICOMOrient(reference.image, "LPS"), source=reference.source)


@lru_cache(maxsize=2)
def _planes(path: str, key: str) -> np.ndarray:
    with np.load(path) as arrays:
        return np.asarray(arrays[key], np.float32)


def on_grid(raw: RawImage, side: int) -> np.ndarray:
    """(D, side, side) int16 in the middle of a square, square pixels, rounded: digits tell nothing."""
    size = _size_in(raw, side)
    low, high = HU_RANGE if raw.units == HU else (0, 255)
    square = np.full((len(raw.values), side, side), low, np.int16)
    left, top = (side - size) // 2
    for plane, target in zip(raw.values, square, strict=True):
        picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        if picture.size != tuple(size):
            picture = picture.resize((int(size[0]), int(size[1])), Image.Resampling.BICUBIC)
        shown = np.clip(np.rint(np.asarray(picture)), low, high)
        target[top : top + size[1], left : left + size[0]] = shown
    return square


def _size_in(raw: RawImage, side: int) -> np.ndarray:
    """Columns and rows that the image has in a square of `side`."""
    height, width = raw.values.shape[1:]
    extent = np.array([width * raw.pixel_mm[0], height * raw.pixel_mm[1]])
    return np.maximum(1, np.rint(extent / extent.max() * side)).astype(int)


def on_square(
    raw: RawImage, side: int, place: tuple[float, float, float]
) -> tuple[float, float, float]:
    """x, y and radius in pixels of the file, as shares of the square's side."""
    x, y, radius = place
    height, width = raw.values.shape[1:]
    size = _size_in(raw, side)
    left, top = (side - size) // 2
    return (
        round(float((left + (x + 0.5) / width * size[0]) / side), 5),
        round(float((top + (y + 0.5) / height * size[1]) / side), 5),
        round(float(radius / width * size[0] / side), 5),
    )


def to_bytes(image: np.ndarray) -> bytes:
    """Little-endian 16-bit values without any header: the same length for every image of a study."""
    return image.astype("<i2").tobytes()


def from_bytes(data: bytes, grid: tuple[int, int]) -> np.ndarray:
    """The inverse of `to_bytes`, (depth, side, side)."""
    depth, side = grid
    return np.frombuffer(data, "<i2").reshape(depth, side, side)
