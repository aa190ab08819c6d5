"""A dense, unsharp core from which thin strands run out and fade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import (
    Lobes,
    Reading,
    breast_mass,
    contrast,
    margin,
    outline,
    spicules,
)

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectedLesion, ProjectionContext

SPICULE_MM = 15.0


def draw(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A dense, unsharp core from which thin strands run out and fade."""
    from scipy import ndimage

    from medsynth.lesions.mammogram import ProjectedLesion, lens
    from medsynth.lesions.mammogram_shapes import spicule_lines

    core = lens(context, options["margin_mm"])
    noise_field = ndimage.gaussian_filter(
        context.generator.standard_normal(core.shape), 0.8 / context.step_mm
    )
    core = core * (1 + 0.12 * noise_field / noise_field.std())
    lines = spicule_lines(
        context, count=round(options["spicules"]), length_mm=options["spicule_length_mm"]
    )
    return ProjectedLesion(options["contrast"] * (core + lines * (1 - 0.7 * core.clip(0, 1))), {})


PARAMETERS = (
    contrast((20, 46)),
    margin((1.2, 2.4)),
    *spicules((9, 22), longest_mm=SPICULE_MM),
    *outline((0.1, 0.18), (1.0, 1.4)),
)
KIND = breast_mass(
    "spiculated_mass",
    "spiculated mass",
    draw,
    PARAMETERS,
    reach_mm=SPICULE_MM + 3,
    lobes=Lobes(30, (5.0, 24.0)),
    reading=Reading("6 to 30 mm", "spiculated, unsharp", "above the tissue around"),
    words="Lines radiate from a dense core. The classic look of an invasive carcinoma.",
)
