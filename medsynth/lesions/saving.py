"""A lesion that is marked in an image becomes a template: cut out with what is around it, and kept by name."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.images import resample_mask
from medsynth.lesions.lesion import mask_diameter_mm
from medsynth.storage.saved_lesions import IMAGE, MASK, PICTURE, SavedLesion, adding

# What a transplant looks at around its source: feather, ring and pleura.
AROUND_MM = 40.0
SIDE = 96
SHOWN = 2.6  # diameters that the picture shows


def save(
    image: sitk.Image,
    mask: sitk.Image,
    *,
    name: str,
    preset: Preset,
    origin: dict[str, Any],
    store: Path | None = None,
) -> SavedLesion:
    """Cut the lesion that `mask` marks out of `image` and keep it as `name`.

    A volume in Hounsfield units is cut to what is near the lesion; other images stay whole, because their
    gray values are brought onto the domain's by all of them.

    Args:
        image: 3-D, as it was read.
        mask: of any grid; where it is non-zero the lesion is.
        origin: what is known of the image, without anything that names a patient.
        store: where it is kept; None: where every door finds it.

    Raises:
        ValueError: the mask is empty, or the name cannot be.
        FileExistsError: one of that name is there.
    """
    on_grid = resample_mask(mask, image)
    diameter = round(mask_diameter_mm(on_grid), 2)
    pixels = np.ascontiguousarray(sitk.GetArrayViewFromImage(image))
    known = {
        **origin,
        "saved": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "medsynth": metadata.version("medsynth-slicer"),
        "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }
    lesion = SavedLesion(name, preset.name, diameter, known)
    if not preset.in_display_units:
        image, on_grid = _cut(image, on_grid)
    with adding(lesion, store) as folder:
        sitk.WriteImage(image, str(folder / IMAGE), useCompression=True)
        sitk.WriteImage(sitk.Cast(on_grid, sitk.sitkUInt8), str(folder / MASK), useCompression=True)
        _picture(image, on_grid, preset, diameter).save(folder / PICTURE)
    return lesion


def _cut(image: sitk.Image, mask: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """Both, as far as AROUND_MM from the mask."""
    marked = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1]
    around = np.ceil(AROUND_MM / np.array(image.GetSpacing())).astype(int)
    low = np.maximum(marked.min(0) - around, 0)
    high = np.minimum(marked.max(0) + around + 1, image.GetSize())
    size, index = (high - low).tolist(), low.tolist()
    return sitk.RegionOfInterest(image, size, index), sitk.RegionOfInterest(mask, size, index)


def _picture(image: sitk.Image, mask: sitk.Image, preset: Preset, diameter: float) -> Any:
    """The slice through the lesion's middle, in the domain's first window."""
    from PIL import Image

    marked = np.argwhere(sitk.GetArrayViewFromImage(mask))
    k, j, i = np.rint(marked.mean(0)).astype(int)
    plane = sitk.GetArrayViewFromImage(image)[k].astype(np.float32)
    half = np.maximum(np.ceil(SHOWN / 2 * diameter / np.array(image.GetSpacing()[:2])), 4).astype(
        int
    )
    rows = slice(max(j - half[1], 0), j + half[1] + 1)
    columns = slice(max(i - half[0], 0), i + half[0] + 1)
    window = preset.windows[0]
    low, width = window.center - window.width / 2, window.width
    if preset.in_display_units:
        low, width = float(plane.min()), float(np.ptp(plane)) or 1.0
    gray = np.clip(255 * (plane[rows, columns] - low) / width, 0, 255).astype(np.uint8)
    return Image.fromarray(gray).resize((SIDE, SIDE))
