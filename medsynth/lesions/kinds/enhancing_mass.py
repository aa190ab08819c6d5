"""A mass that takes up contrast medium, in edema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import EDEMA, Reading, brain_mass, enhancement, outline

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """A mass that takes up contrast medium, in edema."""
    from medsynth.lesions.display_context import edge, filled, in_edema, limited

    after = in_edema(context, options)
    bright = context.tissue * options["enhancement"] * (1 + 0.05 * context.noise_field())
    return limited(filled(after, context.share(edge(context.beyond)), bright), context, options)


PARAMETERS = (enhancement((1.6, 2.2)), *EDEMA, *outline((0.03, 0.1), (1.0, 1.35)))
KIND = brain_mass(
    "enhancing_mass",
    "enhancing mass",
    draw,
    PARAMETERS,
    reading=Reading("10 to 50 mm", "smooth, in edema", "bright after contrast medium"),
    words="Takes up contrast medium throughout: a meningioma, a metastasis or a lymphoma.",
)
