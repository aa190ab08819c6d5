"""What is around a lesion in the reference: body, lung, lung's HU, pleura."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.images import mm_to_voxel
from medsynth.lesions.body import AERATED_HU, body_array, check_within_body, lung_array
from medsynth.lesions.sub_volume import SubVolume

TYPICAL_LUNG_HU = -850.0
MARGIN_MM = 18.0


@dataclass(frozen=True)
class Surroundings:
    """The reference in and around a lesion's sub-volume.

    Attributes:
        sub_volume: the lesion's.
        wide: the same with MARGIN_MM more around it.
        wide_values: (k, j, i) float32, the wide sub-volume's voxels.
        body: (k, whole j, whole i) boolean, the wide sub-volume's slices.
        wide_lung: (k, j, i) boolean, with its vessels.
        warnings: what is unusual about the place.
    """

    sub_volume: SubVolume
    wide: SubVolume
    wide_values: np.ndarray
    body: np.ndarray
    wide_lung: np.ndarray
    warnings: tuple[str, ...]

    @property
    def values(self) -> np.ndarray:
        """The sub-volume's voxels (k, j, i)."""
        return self.wide_values[self.sub_volume.within(self.wide)]

    @property
    def confined(self) -> bool:
        """Whether the lesion belongs to the lung and must stay in it."""
        return not self.warnings

    def allowed(self) -> np.ndarray:
        """Where the lesion may be, in the sub-volume: the lung, or everywhere."""
        lung = self.wide_lung[self.sub_volume.within(self.wide)]
        return lung if self.confined else np.ones_like(lung)

    def background_hu(self, lesion: np.ndarray) -> float:
        """Median of aerated lung within 8 mm of `lesion`; a typical lung's where there is none."""
        inside = self._widened(lesion)
        away = ndimage.distance_transform_edt(~inside, sampling=self.wide.spacing_mm[::-1])
        aerated = self.wide_lung & (self.wide_values < AERATED_HU)
        around = self.wide_values[(away > 1) & (away < 8) & aerated]
        return float(np.median(around)) if around.size >= 20 else TYPICAL_LUNG_HU

    def check_within_body(self, lesion: np.ndarray) -> None:
        """Raises GeometryError when voxels of `lesion` (the sub-volume's shape) are outside the body."""
        check_within_body(self._widened(lesion), self.body, self.wide)

    def pleura_mm(self) -> np.ndarray:
        """LPS mm (N, 3) of voxels just outside the lung; vessels in the lung do not count."""
        if not self.confined:
            return np.empty((0, 3))
        edge = ndimage.binary_dilation(self.wide_lung) & ~self.wide_lung
        return self.wide.voxels_mm()[edge]

    def _widened(self, inside: np.ndarray) -> np.ndarray:
        wide = np.zeros(self.wide_values.shape, dtype=bool)
        wide[self.sub_volume.within(self.wide)] = inside
        return wide


def look_around(
    sub_volume: SubVolume, center_mm: np.ndarray, *, body_threshold: float
) -> Surroundings:
    """Body and lung around `sub_volume`; a center that is not in the lung is a warning."""
    wide = sub_volume.wider(MARGIN_MM)
    slices = sitk.GetArrayViewFromImage(sub_volume.reference)[wide.slices[0]]
    in_plane = (slice(None), *wide.slices[1:])
    body = body_array(slices, sub_volume.spacing_mm, body_threshold)
    values = slices[in_plane].astype(np.float32)
    lung = lung_array(values, body[in_plane], sub_volume.spacing_mm)
    warnings = _not_in_lung(lung, wide, center_mm)
    return Surroundings(sub_volume, wide, values, body, lung, warnings)


def _not_in_lung(lung: np.ndarray, sub_volume: SubVolume, center_mm: np.ndarray) -> tuple[str, ...]:
    index = np.rint(mm_to_voxel(sub_volume.reference, center_mm) - np.array(sub_volume.low))[::-1]
    at = tuple(np.clip(index, 0, np.array(lung.shape) - 1).astype(int))
    if lung[at]:
        return ()
    if not lung.any():
        return ("the lesion's center is not in the lung, and there is no lung near it",)
    distance = ndimage.distance_transform_edt(~lung, sampling=sub_volume.spacing_mm[::-1])[at]
    return (f"the lesion's center is {distance:.1f} mm outside the lung",)
