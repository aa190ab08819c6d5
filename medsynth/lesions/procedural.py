"""Lesions drawn from scratch: an outline, filled as its kind says, into a reference image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.images import resample_mask, voxel_to_mm
from medsynth.lesions.display_units import draw_in_grey
from medsynth.lesions.drawing_context import Surroundings, look_around
from medsynth.lesions.insert import finish, most_covered, mottle
from medsynth.lesions.kinds.lung import Kind, Site
from medsynth.lesions.kinds.mammography import draw_on_film
from medsynth.lesions.lesion import Lesion
from medsynth.lesions.options import draw_options, kind_named
from medsynth.lesions.outline import Ball, PaintedRegion, Surface
from medsynth.lesions.sub_volume import Window, check_within_image

DIAMETER_MM = (2.0, 150.0)
MARGIN_MM = 3.0  # for soft edges
PSF_SIGMA_MM = 0.55
SHAPE = ("lobulation", "elongation")  # options that a painted region has no use for


def procedural(
    kind: str,
    *,
    reference: sitk.Image,
    centre_mm: tuple[float, float, float] | None = None,
    diameter_mm: float | None = None,
    roi: sitk.Image | None = None,
    seed: int = 0,
    body_threshold: float = -500.0,
    **options: Any,
) -> Lesion:
    """Draw a lesion of `kind` into `reference`.

    Either a sphere-like lesion (`centre_mm` in LPS and `diameter_mm`), or one that fills a painted
    region (`roi`). `diameter_mm` is volume-equivalent: the mask has the volume of that sphere
    (area-equivalent in an image of one slice). Spicules and pleural tags stand out beyond the
    mask, as a reader's outline leaves them out; a ground-glass halo belongs to it.

    Args:
        kind: one of `KINDS`.
        reference: 3-D, in the units of the kind's domain (lung nodules: HU), any direction and spacing; it is not changed.
        roi: a mask on any grid; where it is non-zero the lesion is.
        seed: of everything that is drawn; the same seed draws the same lesion.
        body_threshold: value above which the body is told from air.
        **options: parameters to set instead of drawing them; `KINDS[kind].options` lists them.

    Raises:
        ValueError: an unknown kind or option, or a value out of its range.
        GeometryError: the lesion would leave the image or the body; the message tells by how much.
    """
    draw_in = DRAWERS[kind_named(kind).family]
    generators = _generators(seed)
    place = (centre_mm, diameter_mm, roi)
    surface, drawn = _outline(kind, reference, place, options, generators[:2])
    drawn = {"seed": int(seed)} | drawn
    return draw_in(reference, kind, surface, drawn, generators[2], body_threshold)


def _lung_nodule(
    reference: sitk.Image,
    kind: str,
    surface: Surface,
    drawn: dict[str, Any],
    generator: np.random.Generator,
    body_threshold: float,
) -> Lesion:
    """The lung nodule of this outline, filled, in the reference."""
    recipe = kind_named(kind)
    check_within_image(reference, surface.surface_points(), surface.centre_mm)
    window = _window(recipe, reference, surface)
    around = look_around(window, surface.centre_mm, body_threshold=body_threshold)
    signed = surface.signed_mm(window.samples_mm())
    if reference.GetSize()[2] == 1:
        signed = window.of_diameter(signed, surface.diameter_mm)
    covered = window.mean_of_samples(signed < 0)
    around.check_within_body(most_covered(covered))
    background = around.background_hu(covered > 0)
    site = Site(window, surface, signed, background, around.pleura_mm(), generator)
    matter = recipe.draw(site, drawn)
    details = {
        "centre_mm": np.round(surface.centre_mm, 3).tolist(),
        "diameter_mm": round(surface.diameter_mm, 3),
        **drawn,
        **matter.drawn,
        "background_hu": round(background, 1),
    }
    return finish(
        window,
        _inserted(matter, window, around, generator),
        covered * around.allowed(),
        kind=kind,
        title=recipe.title,
        drawn=details,
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
    """The lesion's surface and its options, given its place (centre, diameter, roi)."""
    centre_mm, diameter_mm, roi = place
    if (roi is None) == (centre_mm is None and diameter_mm is None):
        raise ValueError("give either roi, or centre_mm and diameter_mm")
    if roi is not None:
        for key in SHAPE:
            if key in options:
                raise ValueError(f"{key} cannot act: the lesion takes the shape of the roi")
        surface = painted(roi, reference)
        drawn = draw_options(
            kind, options, diameter_mm=surface.diameter_mm, generator=generators[0]
        )
        for key in SHAPE:
            drawn.pop(key, None)
        return surface, drawn
    centre, diameter = check_place(centre_mm, diameter_mm)
    drawn = draw_options(kind, options, diameter_mm=diameter, generator=generators[0])
    surface = Ball(
        centre,
        diameter,
        lobulation=drawn["lobulation"],
        elongation=drawn["elongation"],
        generator=generators[1],
        lobes=kind_named(kind).lobes,
    )
    return surface, drawn


def check_place(centre_mm: Any, diameter_mm: Any) -> tuple[np.ndarray, float]:
    """`centre_mm` as (3,) and `diameter_mm` as float; ValueError when they cannot be."""
    centre = np.asarray(centre_mm if centre_mm is not None else [], dtype=float)
    if centre.shape != (3,) or not np.all(np.isfinite(centre)):
        raise ValueError(f"centre_mm must be three numbers x, y, z in LPS mm, got {centre_mm!r}")
    low, high = DIAMETER_MM
    if not isinstance(diameter_mm, int | float) or not low <= diameter_mm <= high:
        raise ValueError(
            f"diameter_mm must be a number from {low:g} to {high:g}, got {diameter_mm!r}"
        )
    return centre, float(diameter_mm)


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
    """Voxel indices i, j, k of the centre of mass."""
    return np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1].mean(axis=0)


def _window(recipe: Kind, reference: sitk.Image, surface: Surface) -> Window:
    margin = MARGIN_MM + recipe.reach_mm
    detail = float(np.clip(surface.diameter_mm / 24, 0.4, 1.2))
    return Window.around(reference, surface.surface_points(), margin_mm=margin, detail_mm=detail)


def _inserted(
    matter: Any, window: Window, around: Surroundings, generator: np.random.Generator
) -> np.ndarray:
    """The window's voxels with the lesion's matter in place of air.

    v = reference + fill * (tissue - reference) where that adds density: what is already as dense
    as the lesion (a vessel, the chest wall) stays, and haze lets the lung's structure through.
    """
    fill = window.mean_of_samples(_blurred(matter.fill, window))
    mixed = window.mean_of_samples(_blurred(matter.fill * matter.hu, window))
    tissue = np.divide(mixed, fill, out=np.zeros_like(mixed), where=fill > 1e-6)
    noise = mottle(window.voxels_mm(), generator)
    # Haze varies in how much air it replaces, solid tissue in its HU.
    fill = fill * (1 + matter.mottle * noise * (1 - fill)) * around.allowed()
    tissue = tissue + matter.mottle * 100 * noise
    return around.values + np.clip(fill, 0, 1) * np.maximum(tissue - around.values, 0)


def _blurred(values: np.ndarray, window: Window) -> np.ndarray:
    """As the scanner's in-plane point spread blurs them."""
    step = [s / f for s, f in zip(window.spacing_mm, window.fine, strict=True)]
    return ndimage.gaussian_filter(
        np.asarray(values, dtype=np.float32), [0, PSF_SIGMA_MM / step[1], PSF_SIGMA_MM / step[0]]
    )


# Who puts a lesion of a family into the reference:
# draw_in(reference, kind, surface, drawn, generator, body_threshold) -> Lesion.
DRAWERS: dict[str, Callable[..., Lesion]] = {
    "lung": _lung_nodule,
    "mammography": draw_on_film,
    **dict.fromkeys(("chest_xray", "brain_mri", "brain_ct"), draw_in_grey),
}
