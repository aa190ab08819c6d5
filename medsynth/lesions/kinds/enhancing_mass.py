"""A mass that takes up contrast medium, in edema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import EDEMA, MASS, LesionKind, Option, Reading, outline

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """A mass that takes up contrast medium, in edema."""
    from medsynth.lesions.display_context import edge, filled, in_edema, limited

    after = in_edema(context, options)
    bright = context.tissue * options["enhancement"] * (1 + 0.05 * context.noise_field())
    return limited(filled(after, context.share(edge(context.beyond)), bright), context, options)


PARAMETERS = (
    Option("enhancement", (1.1, 3.0), (1.6, 2.2), "brightness relative to the surrounding tissue"),
    *EDEMA,
    *outline((0.03, 0.1), (1.0, 1.35)),
)
READING = Reading(
    "10 to 50 mm",
    "smooth, in edema",
    "bright after contrast medium",
    "Takes up contrast medium throughout: a meningioma, a metastasis or a lymphoma.",
)
KIND = LesionKind(
    "enhancing_mass",
    "enhancing mass",
    MASS,
    "relative",
    draw,
    PARAMETERS,
    reading=READING,
)
