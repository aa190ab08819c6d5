"""Fresh blood, bright, in a thin dark rim of edema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import LesionKind, Lobes, Option, Reading, outline

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """Fresh blood, bright, in a thin dark rim of edema."""
    from medsynth.lesions.display_context import edge, filled, limited

    rim = edge(context.beyond - options["rim"], width=options["rim"])
    after = filled(context.before, context.share(rim), context.before - options["rim_contrast"])
    blood = context.tissue + options["contrast"] * (1 + 0.09 * context.noise_field())
    return limited(filled(after, context.share(edge(context.beyond)), blood), context, options)


PARAMETERS = (
    Option("contrast", (10, 150), (50, 90), "gray values of blood above the brain around it"),
    Option("rim", (0.02, 0.4), (0.08, 0.18), "width of the dark rim around blood, in diameters"),
    Option(
        "rim_contrast",
        (0, 60),
        (14, 30),
        "gray values by which that rim is darker than the brain",
    ),
    *outline((0.06, 0.16), (1.1, 1.9)),
)
KIND = LesionKind(
    "hemorrhage",
    "hemorrhage",
    draw,
    PARAMETERS,
    code=("50960005", "SCT", "Hemorrhage"),
    drawer="relative",
    lobes=Lobes(20, (3.0, 12.0)),
    reading=Reading("10 to 60 mm", "sharp, in a thin dark rim", "bright: fresh blood"),
    words="Dense from the first hours, with little edema around it; later it fades from the edge.",
)
