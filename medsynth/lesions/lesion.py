"""What every lesion source returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Lesion:
    """A reference image with a lesion in it, and the lesion's annotation.

    Attributes:
        image: float32, physical units (HU), the reference's grid.
        mask: uint8 0/1 on the same grid.
        kind: `spiculated`, ... or `from_study`.
        description: one sentence for a report.
        drawn: every parameter that was drawn or given, and what was measured afterwards
            (`measured_diameter_mm`, `volume_mm3`, `mean_hu`, `background_hu`).
        warnings: what the user should know; empty when all went as asked.
        scattered: calcifications that are much smaller than the mask around them; only they are its own.
    """

    image: sitk.Image
    mask: sitk.Image
    kind: str
    description: str
    drawn: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    scattered: bool = False


def equivalent_diameter_mm(volume_mm3: float, thickness_mm: float | None = None) -> float:
    """Diameter of the sphere of that volume; of the disc when `thickness_mm` of a single slice."""
    if thickness_mm is not None:
        return float(2 * np.sqrt(volume_mm3 / thickness_mm / np.pi))
    return float(np.cbrt(6 * volume_mm3 / np.pi))


def single_slice_thickness(image: sitk.Image) -> float | None:
    """Slice thickness of an image of one slice; None for a volume."""
    return image.GetSpacing()[2] if image.GetSize()[2] == 1 else None


def mask_diameter_mm(mask: sitk.Image) -> float:
    """Volume-equivalent diameter of a mask; area-equivalent when it has a single slice."""
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * float(np.prod(mask.GetSpacing()))
    return equivalent_diameter_mm(volume, single_slice_thickness(mask))
