"""The last step of every lesion: voxels back into the reference, mask, measurements, warnings."""

from __future__ import annotations

from typing import Any

import numpy as np

from medsynth.errors import GeometryError
from medsynth.lesions.lesion import Lesion, equivalent_diameter_mm, single_slice_thickness
from medsynth.lesions.sub_volume import SubVolume
from medsynth.lesions.target import with_lesion

WAVES = 24
WAVELENGTH_MM = (2.5, 9.0)
NOTABLE_LOSS = 0.1


def noise_field(points_mm: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Smooth random field of unit variance at points (..., 3) mm: a sum of plane waves."""
    direction = generator.standard_normal((WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wave = direction * (2 * np.pi / generator.uniform(*WAVELENGTH_MM, WAVES))[:, None]
    phase = generator.uniform(0, 2 * np.pi, WAVES)
    total = np.zeros(points_mm.shape[:-1], dtype=np.float32)
    for vector, shift in zip(wave, phase, strict=True):
        total += np.cos(points_mm @ vector + shift).astype(np.float32)
    return total * np.float32(np.sqrt(2 / WAVES))


def finish(
    sub_volume: SubVolume,
    values: np.ndarray,
    covered: np.ndarray,
    *,
    kind: str,
    title: str,
    drawn: dict[str, Any],
    warnings: tuple[str, ...],
    asked_mm: float,
) -> Lesion:
    """The whole image with the sub-volume's `values`, and the mask of the voxels most `covered`.

    Args:
        values: (k, j, i) HU of the sub-volume.
        covered: (k, j, i) share of each voxel that the lesion fills.
        asked_mm: the diameter that was asked for; a mask clearly smaller is a warning.
    """
    marked = most_covered(covered)
    image, mask = with_lesion(sub_volume, values, marked)
    volume = int(marked.sum()) * float(np.prod(sub_volume.spacing_mm))
    diameter = equivalent_diameter_mm(volume, single_slice_thickness(sub_volume.reference))
    if diameter < asked_mm * (1 - NOTABLE_LOSS):
        loss = (
            f"the lesion was cut at the lung's border: it measures {diameter:.1f} mm of the "
            f"{asked_mm:.1f} mm asked for"
        )
        warnings = (*warnings, loss)
    measured = {
        "measured_diameter_mm": round(diameter, 2),
        "volume_mm3": round(volume, 1),
        "mean_hu": round(float(values[marked].mean()), 1),
    }
    center = ", ".join(f"{c:.1f}" for c in drawn["center_mm"])
    description = f"{title}, {diameter:.1f} mm, at ({center}) mm, {measured['mean_hu']:.0f} HU"
    return Lesion(image, mask, kind, description, drawn | measured, warnings)


def most_covered(covered: np.ndarray) -> np.ndarray:
    """The voxels that are covered most, as many as the covered volume asks for (at least one).

    For a lesion of many voxels this is the usual "at least half"; a small one in thick slices,
    which fills no voxel by half, still gets a mask of its volume.

    Raises:
        GeometryError: nothing is covered.
    """
    if not np.any(covered > 0):
        raise GeometryError("nothing of the lesion lies in the lung; move its center into the lung")
    count = max(1, round(float(covered.sum(dtype=np.float64))))
    order = np.argsort(-covered, axis=None, kind="stable")[:count]
    marked = np.zeros(covered.size, dtype=bool)
    marked[order] = True
    return marked.reshape(covered.shape) & (covered > 0)
