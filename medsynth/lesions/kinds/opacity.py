"""A consolidation: a cloudy shadow that fades over its edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Lobes, Option, Reading, chest_shadow, outline, shadow

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """A consolidation: a cloudy shadow that fades over its edge."""
    from medsynth.lesions.display_context import exposed, smooth

    soft = smooth(0.5 - context.beyond / options["softness"])
    cloud = 1 + 0.16 * context.noise_field(coarseness=1.6).clip(-2, 2)
    return exposed(context, options["contrast"] * context.share(soft) * cloud, options["contrast"])


PARAMETERS = (
    shadow((25, 55)),
    Option("softness", (0.05, 1.0), (0.35, 0.6), "width of the edge, in diameters"),
    *outline((0.08, 0.18), (1.0, 1.6)),
)
KIND = chest_shadow(
    "opacity",
    "opacity",
    draw,
    PARAMETERS,
    code=("52988006", "SCT", "Lesion"),
    lobes=Lobes(18, (3.0, 10.0)),
    reading=Reading("20 to 100 mm", "cloudy, fades", "a shadow over what lies behind"),
    words="Air spaces that are filled: pneumonia, edema or blood. No sharp edge unless it ends at a fissure.",
)
