"""Masses and microcalcifications of a mammogram: attenuation added along the ray, in gray values.

Contrast from mini-MIAS (8 bits, 0.2 mm): mean of the lesion's inner half over that of a ring around
it, 10th to 90th percentile: circumscribed masses 20 to 66 (21 of them, median 32), spiculated ones 10
to 48 (16, median 29); single calcifications stand 8 to 50 above the tissue within 1 mm. A cluster is
at least five calcifications of up to 0.5 mm within 1 cm^2; words for their form are those of the ACR
BI-RADS atlas, 5th ed. (2013).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains.lesion_kinds import LesionKind
from medsynth.errors import GeometryError
from medsynth.lesions.body import body_array, check_within_body
from medsynth.lesions.context import DrawingContext
from medsynth.lesions.lesion import Lesion, equivalent_diameter_mm
from medsynth.lesions.outline import Surface
from medsynth.lesions.sub_volume import SubVolume
from medsynth.lesions.target import LesionTarget, with_lesion

WHITE = 255.0  # the mammogram can get no brighter
MOST_HEADROOM = 0.9  # share of what is left up to white that a lesion may take
RING_MM = (1.0, 6.0)  # the tissue around a lesion, from its edge
PARTICLE_MM = (0.1, 0.5)
USUAL_DETAIL_MM = 0.125
BLUR_MM = 0.08  # of the detector, besides the pixel's own
TYPICAL_MM = 0.3  # the particle whose middle adds `contrast`


@dataclass(frozen=True)
class ProjectionContext(DrawingContext):
    """Where a lesion is drawn, on the sub-volume's fine grid (H, W), whose pixel is `step_mm`."""

    step_mm: float

    def fine(self, points_mm: np.ndarray) -> np.ndarray:
        """Fine-grid (row, column) of points (N, 3) in mm."""
        return self.sub_volume.to_samples(points_mm)[:, 1:]


@dataclass(frozen=True)
class ProjectedLesion:
    """What a lesion adds, (H, W) on the fine grid, in gray values over its middle tissue.

    `scattered`: it consists of calcifications that are much smaller than its outline.
    """

    added: np.ndarray
    drawn: dict[str, Any]
    scattered: bool = False


def draw_on_mammogram(target: LesionTarget) -> Lesion:
    """The lesion of this outline in a mammogram: one slice, in gray values up to `WHITE`.

    Raises:
        ValueError: the reference is no single mammogram.
        GeometryError: the lesion would leave the mammogram or the breast.
    """
    reference, surface = target.reference, target.surface
    if reference.GetSize()[2] != 1:
        raise ValueError(
            f"{target.kind} is drawn into one mammogram, the reference has {reference.GetSize()[2]}"
        )
    target.check_within_image()
    context, covered = _look(reference, target.recipe, surface, target.generator)
    sub_volume = context.sub_volume
    marked = sub_volume.mean_of_samples(covered) >= 0.5
    whole = sitk.GetArrayViewFromImage(reference)
    breast = breast_array(whole, reference.GetSpacing(), target.preset.body_threshold)
    check_within_body(marked, breast, sub_volume, place="breast")
    before = whole[sub_volume.slices].astype(np.float32)
    inside = breast[(slice(None), *sub_volume.slices[1:])]
    tissue = _around(before, marked, inside, sub_volume)
    shadow = target.recipe.draw(context, target.drawn)
    blurred = ndimage.gaussian_filter(shadow.added, BLUR_MM / context.step_mm)
    added = sub_volume.mean_of_samples(blurred[None]) * inside
    after, warnings = exposed(before, added, tissue=tissue, contrast=target.drawn["contrast"])
    return projection_lesion(
        sub_volume,
        after,
        marked,
        kind=target.kind,
        title=target.recipe.title,
        drawn=target.details(**shadow.drawn, background=round(tissue, 1)),
        warnings=warnings,
        scattered=shadow.scattered,
    )


def breast_array(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """The breast of a mammogram (1, H, W) to the pixel, dark calcifications in it included.

    Raises:
        GeometryError: there is none.
    """
    breast = body_array(values, spacing_mm, threshold) & (values > threshold)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in breast])


def exposed(
    before: np.ndarray, added: np.ndarray, *, tissue: float, contrast: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """`before` with `added` gray values, exactly so where it is as bright as `tissue`.

    v + (white - v) (1 - exp(-a)): brighter tissue gains less, and nothing passes white.
    """
    room = max(WHITE - tissue, 1.0)
    most = MOST_HEADROOM * room
    warnings: tuple[str, ...] = ()
    if contrast > most:
        warnings = (
            f"contrast {contrast:g} does not fit above tissue of {tissue:.0f}; it became {most:.0f}",
        )
    attenuation = -np.log1p(-np.clip(added, 0, most) / room)
    return before + (WHITE - before).clip(0) * (1 - np.exp(-attenuation)), warnings


def projection_lesion(
    sub_volume: SubVolume,
    values: np.ndarray,
    marked: np.ndarray,
    *,
    kind: str,
    title: str,
    drawn: dict[str, Any],
    warnings: tuple[str, ...] = (),
    scattered: bool = False,
) -> Lesion:
    """The whole mammogram with the sub-volume's `values` (1, H, W), and the mask of its `marked` pixels."""
    reference = sub_volume.reference
    before = sitk.GetArrayViewFromImage(reference)[sub_volume.slices].astype(np.float32)
    image, mask = with_lesion(sub_volume, values, marked)
    spacing = reference.GetSpacing()
    area = float(marked.sum()) * spacing[0] * spacing[1]
    diameter = equivalent_diameter_mm(area, 1.0)
    gained = float((values - before)[marked].mean())
    center = ", ".join(f"{c:.1f}" for c in drawn["center_mm"])
    measured = {
        "measured_diameter_mm": round(diameter, 2),
        "area_mm2": round(area, 1),
        "mean": round(float(values[marked].mean()), 1),
        "mean_added": round(gained, 1),
    }
    description = f"{title}, {diameter:.1f} mm, at ({center}) mm, {gained:+.0f} gray values"
    return Lesion(
        image,
        mask,
        kind,
        description,
        drawn | measured,
        warnings,
        scattered,
    )


def _look(
    reference: sitk.Image, recipe: LesionKind, surface: Surface, generator: np.random.Generator
) -> tuple[ProjectionContext, np.ndarray]:
    """The fine grid around a lesion, and where its outline covers it: (1, h, w) boolean."""
    margin = 2.0 + recipe.reach_mm
    wanted = recipe.detail_mm or USUAL_DETAIL_MM
    sub_volume = SubVolume.around(
        reference, surface.surface_points(), margin_mm=margin, detail_mm=wanted
    )
    fine = (sub_volume.fine[0], sub_volume.fine[1], 1)
    sub_volume = dataclasses.replace(sub_volume, fine=fine)
    signed = sub_volume.of_diameter(
        surface.signed_mm(sub_volume.samples_mm()), surface.diameter_mm
    )[0]
    step = reference.GetSpacing()[0] / fine[0]
    return ProjectionContext(sub_volume, surface, signed, generator, step), (signed < 0)[None]


def _around(
    before: np.ndarray, marked: np.ndarray, breast: np.ndarray, sub_volume: SubVolume
) -> float:
    """Median of the breast in a ring around the lesion, else of what is under it."""
    away = ndimage.distance_transform_edt(~marked, sampling=sub_volume.spacing_mm[::-1])
    ring = (away > RING_MM[0]) & (away < RING_MM[1]) & breast
    return float(np.median(before[ring if ring.sum() >= 20 else marked]))


def lens(context: ProjectionContext, margin_mm: float) -> np.ndarray:
    """Chord through an ellipsoid over its longest, 0 to 1; its edge blurred over `margin_mm`."""
    depth = np.maximum(-context.signed_mm, 0)
    if depth.max() <= 0:
        raise GeometryError("the lesion is smaller than a pixel; make it larger")
    beside = 1 - depth / depth.max()
    chord = np.where(depth > 0, np.sqrt(np.clip(1 - beside**2, 0, 1)), 0)
    blurred = ndimage.gaussian_filter(chord, margin_mm / 2.35 / context.step_mm)
    return blurred / blurred.max()
