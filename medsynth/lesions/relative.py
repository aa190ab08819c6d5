"""Draws a lesion into a picture of gray values: one projection image, one slice, or a stack of slices."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains import OrganFinder, Preset
from medsynth.images import mm_to_voxel
from medsynth.lesions.body import body_array, check_within_body
from medsynth.lesions.display_context import DisplayContext, DisplayLesion
from medsynth.lesions.insert import most_covered
from medsynth.lesions.lesion import Lesion, mask_diameter_mm
from medsynth.lesions.outline import Surface
from medsynth.lesions.regions import region_of
from medsynth.lesions.sub_volume import SubVolume
from medsynth.lesions.target import LesionTarget, with_lesion

# Around a lesion, in its diameters: the sub-volume beyond its outline, and the tissue it is relative to.
MARGIN = 0.6
RING = (0.1, 0.6)
RING_PIXELS = 2.0  # the ring begins and ends no nearer than this many pixels of each other
# How fine outlines are sampled, in diameters: one slice, and a stack, which has many more points.
DETAIL, DETAIL_OF_STACK = 1 / 40, 1 / 14
FEW = 20


def draw_relative(target: LesionTarget) -> Lesion:
    """The lesion of this outline in the reference, in gray values from 0 to 255.

    Raises:
        GeometryError: the lesion would leave the image, or the body or skull.
    """
    reference, surface, preset = target.reference, target.surface, target.preset
    target.check_within_image()
    sub_volume, signed = _look(reference, surface, reach=_reach(target.drawn))
    marked = most_covered(sub_volume.mean_of_samples(signed < 0))
    slices = sitk.GetArrayViewFromImage(reference)[sub_volume.slices[0]]
    region, warnings = _region(preset, slices, sub_volume, marked, surface.center_mm)
    in_plane = (slice(None), *sub_volume.slices[1:])
    before, inside = slices[in_plane].astype(np.float32), region[in_plane]
    if target.recipe.seen_through:
        tissue = float(np.median(before[marked]))
    else:
        tissue = _tissue(before, marked, inside, sub_volume, surface.diameter_mm)
    context = DisplayContext(sub_volume, surface, signed, target.generator, before, tissue, inside)
    drawing = target.recipe.draw(context, target.drawn)
    drawing = dataclasses.replace(drawing, warnings=(*warnings, *drawing.warnings))
    details = target.details(background=round(tissue, 1))
    return _lesion(context, drawing, marked, target=target, drawn=details)


def _region(
    preset: Preset,
    slices: np.ndarray,
    sub_volume: SubVolume,
    marked: np.ndarray,
    center_mm: np.ndarray,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Where the lesion may act in whole slices (k, j, i), and what is unusual about its place."""
    organ, spacing = preset.organ or OrganFinder("body", body_array), sub_volume.spacing_mm
    if organ.must_hold:
        region = region_of(organ, slices, spacing, preset.body_threshold)
        check_within_body(marked, region, sub_volume, place=organ.name)
        return region, ()
    body = body_array(slices, spacing, preset.body_threshold)
    check_within_body(marked, body, sub_volume)
    region = organ.finder(slices, spacing, preset.body_threshold)
    index = np.rint(mm_to_voxel(sub_volume.reference, center_mm))[::-1].astype(int)
    index[0] -= sub_volume.low[2]
    at = tuple(np.clip(index, 0, np.array(region.shape) - 1))
    if region[at]:
        return region, ()
    if not region.any():
        said = f"not in the {organ.name}, and there is no {organ.name} in its slices"
    else:
        away = ndimage.distance_transform_edt(~region, sampling=spacing[::-1])[at]
        said = f"{away:.1f} mm outside the {organ.name}"
    return body, (f"the lesion's center is {said}",)


def _reach(drawn: dict[str, Any]) -> float:
    """How far from its outline a lesion acts, in diameters: its edema, whose width varies."""
    edema = 2.0 * drawn.get("edema", 0.0)
    rim = 1.5 * drawn.get("rim", 0.0) if "rim_contrast" in drawn else 0.0
    return max(edema, rim, 0.5 * drawn.get("softness", 0.0))


def _look(reference: sitk.Image, surface: Surface, *, reach: float) -> tuple[SubVolume, np.ndarray]:
    """The fine grid around a lesion, and the distance of its points from the outline in mm."""
    diameter = surface.diameter_mm
    points = surface.surface_points()
    margin = max(MARGIN, reach) * diameter + 2 * max(reference.GetSpacing()[:2])
    stack = reference.GetSize()[2] > 1
    detail = (DETAIL_OF_STACK if stack else DETAIL) * diameter
    sub_volume = SubVolume.around(reference, points, margin_mm=margin, detail_mm=detail)
    if stack:
        return sub_volume, surface.signed_mm(sub_volume.samples_mm())
    sub_volume = dataclasses.replace(sub_volume, fine=(*sub_volume.fine[:2], 1))
    return sub_volume, sub_volume.of_diameter(surface.signed_mm(sub_volume.samples_mm()), diameter)


def _tissue(
    before: np.ndarray,
    marked: np.ndarray,
    inside: np.ndarray,
    sub_volume: SubVolume,
    diameter_mm: float,
) -> float:
    """Median of what may hold a lesion in a ring around it, else of what is under it."""
    away = ndimage.distance_transform_edt(~marked, sampling=sub_volume.spacing_mm[::-1])
    pixel = max(sub_volume.spacing_mm[:2])
    low, high = max(RING[0] * diameter_mm, pixel), RING[1] * diameter_mm
    ring = (away > low) & (away <= max(high, low + RING_PIXELS * pixel)) & inside
    return float(np.median(before[ring if ring.sum() >= FEW else marked]))


def _lesion(
    context: DisplayContext,
    drawing: DisplayLesion,
    marked: np.ndarray,
    *,
    target: LesionTarget,
    drawn: dict[str, Any],
) -> Lesion:
    """The whole image with the drawing in it, its mask, and what was measured."""
    image, mask = with_lesion(context.sub_volume, drawing.after, marked)
    gained = float((drawing.after - context.before)[marked].mean())
    measured = {
        "measured_diameter_mm": round(mask_diameter_mm(mask), 2),
        "mean": round(float(drawing.after[marked].mean()), 1),
        "mean_added": round(gained, 1),
    }
    center = ", ".join(f"{c:.1f}" for c in drawn["center_mm"])
    description = (
        f"{target.recipe.title}, {measured['measured_diameter_mm']:.1f} mm, at ({center}) mm, {gained:+.0f} gray "
        "values"
    )
    return Lesion(image, mask, target.kind, description, drawn | measured, drawing.warnings)
