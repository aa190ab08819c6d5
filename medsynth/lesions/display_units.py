"""Draws a lesion into a picture of grey values: one film, one slice, or a stack of slices."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.lesions.body import check_within_body
from medsynth.lesions.insert import most_covered
from medsynth.lesions.kinds.display_units import GREY_KINDS, Drawing, Ground
from medsynth.lesions.lesion import Lesion, mask_diameter_mm
from medsynth.lesions.outline import Surface
from medsynth.lesions.regions import region_of
from medsynth.lesions.sub_volume import Window, check_within_image

# Around a lesion, in its diameters: the window beyond its outline, and the tissue it is relative to.
MARGIN = 0.6
RING = (0.1, 0.6)
RING_PIXELS = 2.0  # the ring begins and ends no nearer than this many pixels of each other
# How fine outlines are sampled, in diameters: one slice, and a stack, which has many more points.
DETAIL, DETAIL_OF_STACK = 1 / 40, 1 / 14
FEW = 20
# Families whose lesions add to what is there (a shadow) instead of taking its place.
SEEN_THROUGH = ("chest_xray",)


def draw_in_grey(
    reference: sitk.Image,
    kind: str,
    surface: Surface,
    drawn: dict[str, Any],
    generator: np.random.Generator,
    body_threshold: float,
) -> Lesion:
    """The lesion of this outline in the reference, in grey values from 0 to 255.

    Raises:
        GeometryError: the lesion would leave the image, or the body or skull.
    """
    recipe = GREY_KINDS[kind]
    check_within_image(reference, surface.surface_points(), surface.centre_mm)
    window, signed = _look(reference, surface, reach=_reach(drawn))
    marked = most_covered(window.mean_of_samples(signed < 0))
    slices = sitk.GetArrayViewFromImage(reference)[window.slices[0]]
    region, place = region_of(recipe.family, slices, reference.GetSpacing(), body_threshold)
    check_within_body(marked, region, window, place=place)
    in_plane = (slice(None), *window.slices[1:])
    before, inside = slices[in_plane].astype(np.float32), region[in_plane]
    if recipe.family in SEEN_THROUGH:
        tissue = float(np.median(before[marked]))
    else:
        tissue = _tissue(before, marked, inside, window, surface.diameter_mm)
    ground = Ground(window, surface, signed, before, tissue, inside, generator)
    drawing = recipe.draw(ground, drawn)
    details = {
        "centre_mm": np.round(surface.centre_mm, 3).tolist(),
        "diameter_mm": round(surface.diameter_mm, 3),
        **drawn,
        "background": round(tissue, 1),
    }
    return _lesion(ground, drawing, marked, kind=kind, title=recipe.title, drawn=details)


def _reach(drawn: dict[str, Any]) -> float:
    """How far from its outline a lesion acts, in diameters: its oedema, whose width varies."""
    oedema = 2.0 * drawn.get("oedema", 0.0)
    rim = 1.5 * drawn.get("rim", 0.0) if "rim_contrast" in drawn else 0.0
    return max(oedema, rim, 0.5 * drawn.get("softness", 0.0))


def _look(reference: sitk.Image, surface: Surface, *, reach: float) -> tuple[Window, np.ndarray]:
    """The fine grid around a lesion, and the distance of its points from the outline in mm."""
    diameter = surface.diameter_mm
    points = surface.surface_points()
    margin = max(MARGIN, reach) * diameter + 2 * max(reference.GetSpacing()[:2])
    stack = reference.GetSize()[2] > 1
    detail = (DETAIL_OF_STACK if stack else DETAIL) * diameter
    window = Window.around(reference, points, margin_mm=margin, detail_mm=detail)
    if stack:
        return window, surface.signed_mm(window.samples_mm())
    window = dataclasses.replace(window, fine=(*window.fine[:2], 1))
    return window, window.of_diameter(surface.signed_mm(window.samples_mm()), diameter)


def _tissue(
    before: np.ndarray, marked: np.ndarray, inside: np.ndarray, window: Window, diameter_mm: float
) -> float:
    """Median of what may hold a lesion in a ring around it, else of what is under it."""
    away = ndimage.distance_transform_edt(~marked, sampling=window.spacing_mm[::-1])
    pixel = max(window.spacing_mm[:2])
    low, high = max(RING[0] * diameter_mm, pixel), RING[1] * diameter_mm
    ring = (away > low) & (away <= max(high, low + RING_PIXELS * pixel)) & inside
    return float(np.median(before[ring if ring.sum() >= FEW else marked]))


def _lesion(
    ground: Ground,
    drawing: Drawing,
    marked: np.ndarray,
    *,
    kind: str,
    title: str,
    drawn: dict[str, Any],
) -> Lesion:
    """The whole image with the drawing in it, its mask, and what was measured."""
    window = ground.window
    image = sitk.GetArrayFromImage(window.reference).astype(np.float32)
    image[window.slices] = drawing.after
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[window.slices] = marked
    image, mask = (_like(window.reference, array) for array in (image, mask))
    gained = float((drawing.after - ground.before)[marked].mean())
    measured = {
        "measured_diameter_mm": round(mask_diameter_mm(mask), 2),
        "mean": round(float(drawing.after[marked].mean()), 1),
        "mean_added": round(gained, 1),
    }
    centre = ", ".join(f"{c:.1f}" for c in drawn["centre_mm"])
    description = (
        f"{title}, {measured['measured_diameter_mm']:.1f} mm, at ({centre}) mm, {gained:+.0f} grey "
        "values"
    )
    return Lesion(image, mask, kind, description, drawn | measured, drawing.warnings)


def _like(reference: sitk.Image, array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(reference)
    return image
