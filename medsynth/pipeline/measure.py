"""What came out, in figures: the lesions, and how coherent neighboring slices are."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.dicom import label_codes
from medsynth.diffusion.coherence import coherence
from medsynth.domains import Preset
from medsynth.lesions import body_mask, mask_diameter_mm
from medsynth.pipeline.existing import Existing
from medsynth.pipeline.plan import Prepared, Region
from medsynth.records.result import ExistingLabel, LesionMeasurement

# The lesion's surroundings: a shell from 2 to 8 mm outside its mask.
SHELL_MM = (2.0, 8.0)
# The same where nothing says how large a pixel is, or a picture's are larger than that, in pixels.
SHELL_PIXELS = (1.5, 6.0)


def measure_lesion(
    region: Region, volume: np.ndarray, *, file: str | None, preset: Preset
) -> LesionMeasurement:
    """Mean inside the mask and around it, diameter and centroid, in the result `volume` (k, j, i)."""
    mask = region.lesion.mask
    inside = sitk.GetArrayViewFromImage(mask) > 0
    shell = SHELL_MM
    if preset.in_display_units:
        shell = tuple(pixels * mask.GetSpacing()[0] for pixels in SHELL_PIXELS)
    box = _box(inside, mask.GetSpacing()[::-1], reach_mm=shell[1])
    near, values = inside[box], volume[box]
    distance = ndimage.distance_transform_edt(~near, sampling=mask.GetSpacing()[::-1])
    around = (distance > shell[0]) & (distance <= shell[1])
    centroid = np.argwhere(inside).mean(axis=0)[::-1]
    return LesionMeasurement(
        mask=file,
        mean=float(values[near].mean()),
        mean_around=float(values[around].mean()) if around.any() else float("nan"),
        diameter_mm=mask_diameter_mm(mask),
        centroid_mm=tuple(mask.TransformContinuousIndexToPhysicalPoint(centroid.tolist())),
        voxels=int(inside.sum()),
        drawn={"kind": region.lesion.kind, **region.lesion.drawn},
    )


def measure_label(label: Existing, *, file: str | None, modality: str) -> ExistingLabel:
    """What result.json says of a label that the reference already had."""
    inside = sitk.GetArrayViewFromImage(label.mask) > 0
    centroid = np.argwhere(inside).mean(axis=0)[::-1]
    _, kind = label_codes(label.name, label.coded, modality)
    voxel_mm3 = float(np.prod(label.mask.GetSpacing()))
    return ExistingLabel(
        mask=file,
        name=label.name,
        code=(kind.value, kind.scheme_designator, kind.meaning),
        source=label.source,
        value=label.value,
        voxels=int(inside.sum()),
        volume_mm3=round(int(inside.sum()) * voxel_mm3, 3),
        centroid_mm=tuple(label.mask.TransformContinuousIndexToPhysicalPoint(centroid.tolist())),
    )


def _box(
    inside: np.ndarray, spacing_mm: tuple[float, ...], *, reach_mm: float
) -> tuple[slice, ...]:
    """The voxels within `reach_mm` of the mask."""
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    reach = [int(np.ceil(reach_mm / s)) + 1 for s in spacing_mm]
    return tuple(
        slice(max(part.start - r, 0), part.stop + r) for part, r in zip(found, reach, strict=True)
    )


def measure_coherence(
    prepared: Prepared, volume: np.ndarray, *, preset: Preset
) -> dict[str, float]:
    """Per window, mean |difference of neighboring slices| of the result over the reference's.

    Over the synthesized slices and their two neighbors; empty for fewer than two slices.
    """
    first, last = prepared.slices[0], prepared.slices[-1]
    part = slice(max(first - 1, 0), min(last + 2, len(volume)))
    if part.stop - part.start < 2:
        return {}
    image = prepared.reference.image[:, :, part.start : part.stop]
    # Kept by a name: a view does not keep its image, and would be read after its memory is gone.
    mask = body_mask(image, preset.body_threshold)
    body = sitk.GetArrayViewFromImage(mask) > 0
    figures = coherence(
        volume[part],
        sitk.GetArrayViewFromImage(image),
        body,
        windows={window.name: window.limits for window in preset.windows},
    )
    return {name: round(figure["ratio"], 4) for name, figure in figures.items()}
