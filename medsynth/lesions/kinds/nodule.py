"""A round shadow: as bright as the ray's way through a ball is long, its margin a little soft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import NODULE, Reading, chest_shadow, outline, shadow

if TYPE_CHECKING:
    from medsynth.lesions.display_context import DisplayContext, DisplayLesion


def draw(context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """A round shadow: as bright as the ray's way through a ball is long, its margin a little soft."""
    import numpy as np
    from scipy import ndimage

    from medsynth.lesions.display_context import EDGE, exposed

    depth = np.clip(-context.signed_mm, 0, None)
    beside = 1 - depth / max(float(depth.max()), 1e-6)
    chord = np.where(depth > 0, np.sqrt(np.clip(1 - beside**2, 0, 1)), 0)
    steps = [
        s / f for s, f in zip(context.sub_volume.spacing_mm, context.sub_volume.fine, strict=True)
    ]
    sigma = 0.5 * EDGE * context.surface.diameter_mm
    chord = ndimage.gaussian_filter(chord, [0, sigma / steps[1], sigma / steps[0]])
    chord /= max(float(chord.max()), 1e-6)
    return exposed(context, options["contrast"] * context.share(chord), options["contrast"])


PARAMETERS = (shadow((22, 45)), *outline((0.02, 0.08), (1.0, 1.25)))
KIND = chest_shadow(
    "nodule",
    "nodule",
    draw,
    PARAMETERS,
    code=NODULE,
    reading=Reading("8 to 40 mm", "a little soft", "a shadow over what lies behind"),
    words="Round, seen through ribs and vessels. Easily missed behind the heart, the hilum or a clavicle.",
)
