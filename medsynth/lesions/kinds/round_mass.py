"""A circumscribed mass: the chord of an ellipsoid, its margin sharp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import ELONGATION, LOBULATION, LesionKind, Option

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectedLesion, ProjectionContext


def draw(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A circumscribed mass: the chord of an ellipsoid, its margin sharp."""
    from medsynth.lesions.mammogram import ProjectedLesion, lens

    return ProjectedLesion(options["contrast"] * lens(context, options["margin_mm"]), {})


KIND = LesionKind(
    name="round_mass",
    title="circumscribed round mass",
    code=("4147007", "SCT", "Mass"),
    drawer="projection",
    draw=draw,
    parameters=(
        Option(
            "contrast",
            (5, 120),
            (22, 55),
            "gray values that the lesion's middle, or a calcification of 0.3 mm, adds to the tissue around",
        ),
        Option("margin_mm", (0.2, 4), (0.5, 1.2), "width over which the edge blurs"),
        Option("lobulation", (0.0, 0.35), (0.02, 0.07), LOBULATION),
        Option("elongation", (1.0, 2.5), (1.0, 1.3), ELONGATION),
    ),
    detail_mm=0.125,
)
