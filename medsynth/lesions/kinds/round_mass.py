"""A circumscribed mass: the chord of an ellipsoid, its margin sharp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import MASS, LesionKind, Option, outline

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectedLesion, ProjectionContext


def draw(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A circumscribed mass: the chord of an ellipsoid, its margin sharp."""
    from medsynth.lesions.mammogram import ProjectedLesion, lens

    return ProjectedLesion(options["contrast"] * lens(context, options["margin_mm"]), {})


PARAMETERS = (
    Option(
        "contrast",
        (5, 120),
        (22, 55),
        "gray values that the lesion's middle, or a calcification of 0.3 mm, adds to the tissue around",
    ),
    Option("margin_mm", (0.2, 4), (0.5, 1.2), "width over which the edge blurs"),
    *outline((0.02, 0.07), (1.0, 1.3)),
)
KIND = LesionKind(
    "round_mass", "circumscribed round mass", MASS, "projection", draw, PARAMETERS, detail_mm=0.125
)
