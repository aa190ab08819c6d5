"""What every technique of drawing begins and ends with: a lesion to be, and the image with it in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.domains.lesion_kinds import KINDS, LesionKind
from medsynth.lesions.outline import Surface
from medsynth.lesions.sub_volume import SubVolume, check_within_image


@dataclass(frozen=True)
class LesionTarget:
    """The lesion of kind `kind` that is to fill `surface` in `reference`, an image of `preset`.

    `drawn` are its options; `generator` is for what fills it.
    """

    reference: sitk.Image
    kind: str
    surface: Surface
    drawn: dict[str, Any]
    generator: np.random.Generator
    preset: Preset

    @property
    def recipe(self) -> LesionKind:
        """The kind itself."""
        return KINDS[self.kind]

    def check_within_image(self) -> None:
        """Raises GeometryError, with the distance, if the outline leaves the image."""
        check_within_image(self.reference, self.surface.surface_points(), self.surface.center_mm)

    def details(self, **found: Any) -> dict[str, Any]:
        """Place, size and options as a result tells them, and what was `found` on the way."""
        return {
            "center_mm": np.round(self.surface.center_mm, 3).tolist(),
            "diameter_mm": round(self.surface.diameter_mm, 3),
            **self.drawn,
            **found,
        }


def with_lesion(
    sub_volume: SubVolume, values: np.ndarray, marked: np.ndarray
) -> tuple[sitk.Image, sitk.Image]:
    """The whole image with the sub-volume's `values` in it, and the mask of its `marked` voxels."""
    image = sitk.GetArrayFromImage(sub_volume.reference).astype(np.float32)
    image[sub_volume.slices] = values
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[sub_volume.slices] = marked
    return _like(sub_volume.reference, image), _like(sub_volume.reference, mask)


def _like(reference: sitk.Image, array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(reference)
    return image
