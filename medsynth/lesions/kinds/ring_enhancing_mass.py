"""A rim that takes up contrast medium around a dark, dead middle, in edema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import (
    EDEMA,
    Lobes,
    Option,
    Reading,
    brain_mass,
    enhancement,
    outline,
)

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """A rim that takes up contrast medium around a dark, dead middle, in edema."""
    from medsynth.lesions.display_context import edge, filled, fine_noise_field, in_edema, limited

    after = in_edema(context, options)
    varied = options["rim"] * (1 + 0.25 * fine_noise_field(context))
    middle = context.tissue * options["core_level"] * (1 + 0.05 * context.noise_field())
    bright = context.tissue * options["enhancement"] * (1 + 0.05 * context.noise_field())
    after = filled(after, context.share(edge(context.beyond)), bright)
    after = filled(after, context.share(edge(context.beyond + varied)), middle)
    return limited(after, context, options)


PARAMETERS = (
    enhancement((1.7, 2.3)),
    Option("rim", (0.05, 0.4), (0.1, 0.18), "width of the bright ring, in diameters"),
    Option(
        "core_level",
        (0.1, 1.2),
        (0.5, 0.8),
        "gray value of the center relative to the surrounding tissue",
    ),
    *EDEMA,
    *outline((0.06, 0.15), (1.0, 1.5)),
)
KIND = brain_mass(
    "ring_enhancing_mass",
    "ring-enhancing mass",
    draw,
    PARAMETERS,
    lobes=Lobes(20, (3.0, 12.0)),
    reading=Reading("10 to 50 mm", "bright ring, in edema", "dark, dead middle"),
    words="A rim that takes up contrast medium: glioblastoma, metastasis or abscess.",
)
