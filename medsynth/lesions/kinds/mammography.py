"""Masses and microcalcifications of a mammogram: attenuation added along the ray, in gray values.

Contrast from mini-MIAS (8 bits, 0.2 mm): mean of the lesion's inner half over that of a ring around
it, 10th to 90th percentile: circumscribed masses 20 to 66 (21 of them, median 32), spiculated ones 10
to 48 (16, median 29); single calcifications stand 8 to 50 above the tissue within 1 mm. A cluster is
at least five calcifications of up to 0.5 mm within 1 cm^2; words for their form are those of the ACR
BI-RADS atlas, 5th ed. (2013).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains.lesion_titles import LESION_TITLES
from medsynth.errors import GeometryError
from medsynth.lesions.body import body_array, check_within_body
from medsynth.lesions.kinds.lung import Kind
from medsynth.lesions.kinds.mammography_shapes import (
    calcification,
    calcification_places,
    paste,
    places_mm,
    spicule_lines,
)
from medsynth.lesions.lesion import Lesion, equivalent_diameter_mm
from medsynth.lesions.outline import Lobes, Surface
from medsynth.lesions.sub_volume import SubVolume, check_within_image

FAMILY = "mammography"
WHITE = 255.0  # the film can get no brighter
MOST_HEADROOM = 0.9  # share of what is left up to white that a lesion may take
RING_MM = (1.0, 6.0)  # the tissue around a lesion, from its edge
PARTICLE_MM = (0.1, 0.5)
FINE_MM = {"mass": 0.125, "particles": 0.05}
BLUR_MM = 0.08  # of the detector, besides the pixel's own
TYPICAL_MM = 0.3  # the particle whose middle adds `contrast`


@dataclass(frozen=True)
class ProjectionContext:
    """Where a lesion is drawn, on the sub-volume's fine grid (H, W).

    `signed_mm` is the distance from the outline, negative inside; `step_mm` the fine grid's pixel.
    """

    sub_volume: SubVolume
    surface: Surface
    signed_mm: np.ndarray
    step_mm: float
    generator: np.random.Generator

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


def round_mass(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A circumscribed mass: the chord of an ellipsoid, its margin sharp."""
    return ProjectedLesion(options["contrast"] * _lens(context, options["margin_mm"]), {})


def spiculated_mass(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A dense, unsharp core from which thin strands run out and fade."""
    core = _lens(context, options["margin_mm"])
    noise_field = ndimage.gaussian_filter(
        context.generator.standard_normal(core.shape), 0.8 / context.step_mm
    )
    core = core * (1 + 0.12 * noise_field / noise_field.std())
    lines = spicule_lines(
        context, count=round(options["spicules"]), length_mm=options["spicule_length_mm"]
    )
    return ProjectedLesion(options["contrast"] * (core + lines * (1 - 0.7 * core.clip(0, 1))), {})


def microcalcifications(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A cluster of calcifications: each as bright as it is thick."""
    generator, count = context.generator, round(options["count"])
    sizes = options["size_mm"] * np.exp(generator.normal(0, 0.35, count))
    sizes = np.clip(sizes, *PARTICLE_MM)
    form = options["morphology"]
    places, ways = calcification_places(context, count, along_lines=form == "linear")
    added = np.zeros_like(context.signed_mm)
    for place, way, size in zip(places, ways, sizes, strict=True):
        thickness = calcification(context, size, way, form=form)
        paste(added, place, options["contrast"] * thickness / TYPICAL_MM)
    if form == "amorphous":
        added = ndimage.gaussian_filter(added, 0.15 / context.step_mm)
    particles = [
        {"position_mm": np.round(position, 2).tolist(), "size_mm": round(float(size), 3)}
        for position, size in zip(places_mm(context, places), sizes, strict=True)
    ]
    return ProjectedLesion(added, {"particles": particles}, scattered=True)


def draw_on_mammogram(
    reference: sitk.Image,
    kind: str,
    surface: Surface,
    drawn: dict[str, Any],
    generator: np.random.Generator,
    body_threshold: float,
) -> Lesion:
    """The lesion of this outline in a film: one slice, in gray values up to `WHITE`.

    Raises:
        ValueError: the reference is no single film.
        GeometryError: the lesion would leave the film or the breast.
    """
    if reference.GetSize()[2] != 1:
        raise ValueError(
            f"{kind} is drawn into one film, the reference has {reference.GetSize()[2]}"
        )
    recipe = MAMMOGRAPHY_KINDS[kind]
    check_within_image(reference, surface.surface_points(), surface.center_mm)
    context, covered = _look(reference, recipe, surface, generator)
    sub_volume = context.sub_volume
    marked = sub_volume.mean_of_samples(covered) >= 0.5
    whole = sitk.GetArrayViewFromImage(reference)
    breast = breast_array(whole, reference.GetSpacing(), body_threshold)
    check_within_body(marked, breast, sub_volume, place="breast")
    before = whole[sub_volume.slices].astype(np.float32)
    inside = breast[(slice(None), *sub_volume.slices[1:])]
    tissue = _around(before, marked, inside, sub_volume)
    shadow = recipe.draw(context, drawn)
    blurred = ndimage.gaussian_filter(shadow.added, BLUR_MM / context.step_mm)
    added = sub_volume.mean_of_samples(blurred[None]) * inside
    after, warnings = exposed(before, added, tissue=tissue, contrast=drawn["contrast"])
    details = {
        "center_mm": np.round(surface.center_mm, 3).tolist(),
        "diameter_mm": round(surface.diameter_mm, 3),
        **drawn,
        **shadow.drawn,
        "background": round(tissue, 1),
    }
    return projection_lesion(
        sub_volume,
        after,
        marked,
        kind=kind,
        title=recipe.title,
        drawn=details,
        warnings=warnings,
        scattered=shadow.scattered,
    )


def breast_array(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """The breast of a film (1, H, W) to the pixel, dark calcifications in it included.

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
    """The whole film with the sub-volume's `values` (1, H, W), and the mask of its `marked` pixels."""
    reference = sub_volume.reference
    image = sitk.GetArrayFromImage(reference).astype(np.float32)
    before = image[sub_volume.slices].copy()
    image[sub_volume.slices] = values
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[sub_volume.slices] = marked
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
        _like(reference, image),
        _like(reference, mask),
        kind,
        description,
        drawn | measured,
        warnings,
        scattered,
    )


def _look(
    reference: sitk.Image, recipe: Kind, surface: Surface, generator: np.random.Generator
) -> tuple[ProjectionContext, np.ndarray]:
    """The fine grid around a lesion, and where its outline covers it: (1, h, w) boolean."""
    margin = 2.0 + recipe.reach_mm
    wanted = FINE_MM["particles" if recipe.draw is microcalcifications else "mass"]
    sub_volume = SubVolume.around(
        reference, surface.surface_points(), margin_mm=margin, detail_mm=wanted
    )
    fine = (sub_volume.fine[0], sub_volume.fine[1], 1)
    sub_volume = dataclasses.replace(sub_volume, fine=fine)
    signed = sub_volume.of_diameter(
        surface.signed_mm(sub_volume.samples_mm()), surface.diameter_mm
    )[0]
    step = reference.GetSpacing()[0] / fine[0]
    return ProjectionContext(sub_volume, surface, signed, step, generator), (signed < 0)[None]


def _around(
    before: np.ndarray, marked: np.ndarray, breast: np.ndarray, sub_volume: SubVolume
) -> float:
    """Median of the breast in a ring around the lesion, else of what is under it."""
    away = ndimage.distance_transform_edt(~marked, sampling=sub_volume.spacing_mm[::-1])
    ring = (away > RING_MM[0]) & (away < RING_MM[1]) & breast
    return float(np.median(before[ring if ring.sum() >= 20 else marked]))


def _lens(context: ProjectionContext, margin_mm: float) -> np.ndarray:
    """Chord through an ellipsoid over its longest, 0 to 1; its edge blurred over `margin_mm`."""
    depth = np.maximum(-context.signed_mm, 0)
    if depth.max() <= 0:
        raise GeometryError("the lesion is smaller than a pixel; make it larger")
    beside = 1 - depth / depth.max()
    chord = np.where(depth > 0, np.sqrt(np.clip(1 - beside**2, 0, 1)), 0)
    blurred = ndimage.gaussian_filter(chord, margin_mm / 2.35 / context.step_mm)
    return blurred / blurred.max()


def _like(reference: sitk.Image, array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(reference)
    return image


_OUTLINE = {"lobulation": (0.0, 0.35), "elongation": (1.0, 2.5)}
SPICULE_MM = 15.0


def _kind(title: str, draw: Callable, options: dict, ranges: dict, **more: Any) -> Kind:
    return Kind(title, draw, {**options, **_OUTLINE}, ranges, family=FAMILY, **more)


MAMMOGRAPHY_KINDS: dict[str, Kind] = {
    "round_mass": _kind(
        LESION_TITLES["round_mass"],
        round_mass,
        {"contrast": (5, 120), "margin_mm": (0.2, 4)},
        {
            "contrast": (22, 55),
            "margin_mm": (0.5, 1.2),
            "lobulation": (0.02, 0.07),
            "elongation": (1.0, 1.3),
        },
    ),
    "spiculated_mass": _kind(
        LESION_TITLES["spiculated_mass"],
        spiculated_mass,
        {
            "contrast": (5, 120),
            "margin_mm": (0.2, 4),
            "spicules": (3, 60),
            "spicule_length_mm": (1, SPICULE_MM),
        },
        {
            "contrast": (20, 46),
            "margin_mm": (1.2, 2.4),
            "spicules": (9, 22),
            "lobulation": (0.1, 0.18),
            "elongation": (1.0, 1.4),
        },
        reach_mm=SPICULE_MM + 3,
        lobes=Lobes(30, (5.0, 24.0)),
    ),
    "microcalcifications": _kind(
        LESION_TITLES["microcalcifications"],
        microcalcifications,
        {
            "contrast": (5, 120),
            "count": (3, 100),
            "size_mm": PARTICLE_MM,
            "morphology": ("punctate", "pleomorphic", "linear", "amorphous"),
        },
        {
            "contrast": (40, 75),
            "count": (8, 26),
            "size_mm": (0.2, 0.34),
            "morphology": ("punctate", "pleomorphic", "linear", "amorphous"),
            "lobulation": (0.05, 0.15),
            "elongation": (1.0, 1.5),
        },
    ),
}
