"""PNG pictures of slices, 8 and 16 bit, marked; which slices are pictures, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.domains import Preset
from medsynth.factory.store import SetItem
from medsynth.marking import png_chunks
from medsynth.storage.files import new_file


def slices_of(item: SetItem) -> Iterator[tuple[int, str]]:
    """The synthesized slices, each with the stem of its files: ID, or ID_0007 of a volume.

    Slices of a volume that were not synthesized are its reference's own, and are no pictures.
    """
    first, last = item.slices
    alone = item.image().GetSize()[2] == 1
    for k in range(first, last + 1):
        yield k, item.id if alone else f"{item.id}_{k:04d}"


def save_png(pixels: np.ndarray, path: Path) -> None:
    """`pixels` (rows, columns), uint8 or uint16, as gray values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path, overwrite=True) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=png_chunks())


def pixel_size(image: sitk.Image) -> dict[str, float]:
    """Millimeters from pixel to pixel along a row and along a column, and between slices."""
    x, y, z = image.GetSpacing()
    return {"column_mm": round(x, 6), "row_mm": round(y, 6), "slice_mm": round(z, 6)}


def rescale_of(preset: Preset) -> tuple[float, float]:
    """Slope and intercept of 16-bit pictures: value = stored x slope + intercept.

    A unit a step from the domain's lowest value; gray values of 8 bits spread over all 16.
    """
    if preset.in_display_units:
        return 1 / 257, 0.0
    return 1.0, float(preset.intensity.physical[0])


def to_16_bit(values: np.ndarray, preset: Preset) -> tuple[np.ndarray, int]:
    """`values` as stored, and how many pixels lay outside what 16 bits hold."""
    slope, intercept = rescale_of(preset)
    stored = np.rint((values.astype(np.float64) - intercept) / slope)
    outside = int(((stored < 0) | (stored > 65535)).sum())
    return np.clip(stored, 0, 65535).astype(np.uint16), outside
