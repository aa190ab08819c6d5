"""A circumscribed mass: the chord of an ellipsoid, its margin sharp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Reading, breast_mass, contrast, margin, outline

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectedLesion, ProjectionContext


def draw(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A circumscribed mass: the chord of an ellipsoid, its margin sharp."""
    from medsynth.lesions.mammogram import ProjectedLesion, lens

    return ProjectedLesion(options["contrast"] * lens(context, options["margin_mm"]), {})


PARAMETERS = (contrast((22, 55)), margin((0.5, 1.2)), *outline((0.02, 0.07), (1.0, 1.3)))
KIND = breast_mass(
    "round_mass",
    "circumscribed round mass",
    draw,
    PARAMETERS,
    reading=Reading("5 to 30 mm", "circumscribed", "equal to or above the tissue around"),
    words="Oval or round with a sharp edge: most often a cyst or a fibroadenoma.",
)
