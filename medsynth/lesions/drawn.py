"""Lesions drawn from scratch: an outline, filled as its kind says, into a reference image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains import Preset, of_kind
from medsynth.domains.lesion_kinds import LesionKind
from medsynth.images import resample_mask, voxel_to_mm
from medsynth.lesions.drawing_context import Surroundings, look_around
from medsynth.lesions.insert import finish, most_covered, noise_field
from medsynth.lesions.lesion import Lesion
from medsynth.lesions.lung_material import LungContext
from medsynth.lesions.mammogram import draw_on_mammogram
from medsynth.lesions.options import draw_options, kind_named
from medsynth.lesions.outline import Ball, PaintedRegion, Surface
from medsynth.lesions.relative import draw_relative
from medsynth.lesions.sub_volume import SubVolume, check_within_image
from medsynth.lesions.target import LesionTarget
from medsynth.request.aliases import lesion_kind

DIAMETER_MM = (2.0, 150.0)
MARGIN_MM = 3.0  # for soft edges
PSF_SIGMA_MM = 0.55
SHAPE = ("lobulation", "elongation")  # options that a painted region has no use for


def procedural(
    kind: str,
    *,
    reference: sitk.Image,
    center_mm: tuple[float, float, float] | None = None,
    diameter_mm: float | None = None,
    roi: sitk.Image | None = None,
    seed: int = 0,
    body_threshold: float | None = None,
    preset: Preset | None = None,
    **options: Any,
) -> Lesion:
    """Draw a lesion of `kind` into `reference`.

    Either a sphere-like lesion (`center_mm` in LPS and `diameter_mm`), or one that fills a painted
    region (`roi`). `diameter_mm` is volume-equivalent: the mask has the volume of that sphere
    (area-equivalent in an image of one slice). Spicules and pleural tags stand out beyond the
    mask, as a reader's outline leaves them out; a ground-glass halo belongs to it.

    Args:
        kind: one of `KINDS`.
        reference: 3-D, in the units of the kind's domain (lung nodules: HU), any direction and spacing; it is not changed.
        roi: a mask on any grid; where it is non-zero the lesion is.
        seed: of everything that is drawn; the same seed draws the same lesion.
        body_threshold: value above which the body is separated from air; None: the domain's.
        preset: the domain, whose organ the lesion belongs to; None: the first that lists the kind.
        **options: parameters to set instead of drawing them; `KINDS[kind].options` lists them.

    Raises:
        ValueError: an unknown kind or option, or a value out of its range.
        GeometryError: the lesion would leave the image or the body; the message tells by how much.
    """
    kind = lesion_kind(kind)
    draw_in = DRAWERS[kind_named(kind).drawer]
    preset = preset or of_kind(kind)
    if body_threshold is not None:
        preset = replace(preset, body_threshold=body_threshold)
    generators = _generators(seed)
    place = (center_mm, diameter_mm, roi)
    surface, drawn = _outline(kind, reference, place, options, generators[:2])
    drawn = {"seed": int(seed)} | drawn
    return draw_in(LesionTarget(reference, kind, surface, drawn, generators[2], preset))


def _lung_nodule(target: LesionTarget) -> Lesion:
    """The lung nodule of this outline, filled, in the reference."""
    surface, threshold = target.surface, target.preset.body_threshold
    target.check_within_image()
    sub_volume = _sub_volume(target.recipe, target.reference, surface)
    around = look_around(sub_volume, surface.center_mm, body_threshold=threshold)
    signed = surface.signed_mm(sub_volume.samples_mm())
    if target.reference.GetSize()[2] == 1:
        signed = sub_volume.of_diameter(signed, surface.diameter_mm)
    covered = sub_volume.mean_of_samples(signed < 0)
    around.check_within_body(most_covered(covered))
    background = around.background_hu(covered > 0)
    generator, pleura_mm = target.generator, around.pleura_mm()
    context = LungContext(sub_volume, surface, signed, generator, background, pleura_mm)
    material = target.recipe.draw(context, target.drawn)
    return finish(
        sub_volume,
        _inserted(material, sub_volume, around, generator),
        covered * around.allowed(),
        kind=target.kind,
        title=target.recipe.title,
        drawn=target.details(**material.drawn, background_hu=round(background, 1)),
        warnings=around.warnings,
        asked_mm=surface.diameter_mm,
    )


def _generators(seed: int) -> list[np.random.Generator]:
    """One each for the options, the outline and what fills it: a change in one moves no other."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    return [np.random.default_rng([int(seed), 1009, part]) for part in range(3)]


def _outline(
    kind: str,
    reference: sitk.Image,
    place: tuple,
    options: dict[str, Any],
    generators: list[np.random.Generator],
) -> tuple[Surface, dict[str, Any]]:
    """The lesion's surface and its options, given its place (center, diameter, roi)."""
    center_mm, diameter_mm, roi = place
    if (roi is None) == (center_mm is None and diameter_mm is None):
        raise ValueError("give either roi, or center_mm and diameter_mm")
    if roi is not None:
        for key in SHAPE:
            if key in options:
                raise ValueError(f"{key} cannot act: the lesion takes the shape of the roi")
        region = painted(roi, reference)
        drawn = draw_options(kind, options, diameter_mm=region.diameter_mm, generator=generators[0])
        for key in SHAPE:
            drawn.pop(key, None)
        return region, drawn
    center, diameter = check_place(center_mm, diameter_mm)
    drawn = draw_options(kind, options, diameter_mm=diameter, generator=generators[0])
    surface = Ball(
        center,
        diameter,
        lobulation=drawn["lobulation"],
        elongation=drawn["elongation"],
        generator=generators[1],
        lobes=kind_named(kind).lobes,
    )
    return surface, drawn


def check_place(center_mm: Any, diameter_mm: Any) -> tuple[np.ndarray, float]:
    """`center_mm` as (3,) and `diameter_mm` as float; ValueError when they cannot be."""
    center = np.asarray(center_mm if center_mm is not None else [], dtype=float)
    if center.shape != (3,) or not np.all(np.isfinite(center)):
        raise ValueError(f"center_mm must be three numbers x, y, z in LPS mm, got {center_mm!r}")
    low, high = DIAMETER_MM
    if not isinstance(diameter_mm, int | float) or not low <= diameter_mm <= high:
        raise ValueError(
            f"diameter_mm must be a number from {low:g} to {high:g}, got {diameter_mm!r}"
        )
    return center, float(diameter_mm)


def painted(roi: sitk.Image, reference: sitk.Image) -> PaintedRegion:
    """The region that `roi` paints, on the reference's grid.

    Raises:
        ValueError: the roi is empty.
        GeometryError: it lies outside the reference, wholly or in part.
    """
    on_grid = resample_mask(roi, reference)
    painted_mm = voxel_to_mm(roi, np.argwhere(sitk.GetArrayViewFromImage(roi))[:, ::-1])
    check_within_image(reference, painted_mm, voxel_to_mm(on_grid, _middle(on_grid)))
    return PaintedRegion(on_grid)


def _middle(mask: sitk.Image) -> np.ndarray:
    """Voxel indices i, j, k of the center of mass."""
    return np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1].mean(axis=0)


def _sub_volume(recipe: LesionKind, reference: sitk.Image, surface: Surface) -> SubVolume:
    margin = MARGIN_MM + recipe.reach_mm
    detail = float(np.clip(surface.diameter_mm / 24, 0.4, 1.2))
    return SubVolume.around(reference, surface.surface_points(), margin_mm=margin, detail_mm=detail)


def _inserted(
    material: Any, sub_volume: SubVolume, around: Surroundings, generator: np.random.Generator
) -> np.ndarray:
    """The sub-volume's voxels with the lesion's material in place of air.

    v = reference + fill * (tissue - reference) where that adds density: what is already as dense
    as the lesion (a vessel, the chest wall) stays, and haze lets the lung's structure through.
    """
    fill = sub_volume.mean_of_samples(_blurred(material.fill, sub_volume))
    mixed = sub_volume.mean_of_samples(_blurred(material.fill * material.hu, sub_volume))
    tissue = np.divide(mixed, fill, out=np.zeros_like(mixed), where=fill > 1e-6)
    noise = noise_field(sub_volume.voxels_mm(), generator)
    # Haze varies in how much air it replaces, solid tissue in its HU.
    fill = fill * (1 + material.noise_field * noise * (1 - fill)) * around.allowed()
    tissue = tissue + material.noise_field * 100 * noise
    return around.values + np.clip(fill, 0, 1) * np.maximum(tissue - around.values, 0)


def _blurred(values: np.ndarray, sub_volume: SubVolume) -> np.ndarray:
    """As the scanner's in-plane point spread blurs them."""
    step = [s / f for s, f in zip(sub_volume.spacing_mm, sub_volume.fine, strict=True)]
    return ndimage.gaussian_filter(
        np.asarray(values, dtype=np.float32), [0, PSF_SIGMA_MM / step[1], PSF_SIGMA_MM / step[0]]
    )


# How a lesion is put into the reference.
DRAWERS: dict[str, Callable[[LesionTarget], Lesion]] = {
    "lung": _lung_nodule,  # in place of air, in HU
    "projection": draw_on_mammogram,  # attenuation along the ray, in display units
    "relative": draw_relative,  # relative to the tissue around, in the domain's units
}
