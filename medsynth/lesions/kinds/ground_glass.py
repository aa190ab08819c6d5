"""A haze: part of the air is replaced, so vessels and lung structure show through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Lobes, Reading, haze_hu, lung_nodule, outline

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """A haze: part of the air is replaced, so vessels and lung structure show through."""
    import numpy as np

    from medsynth.lesions.lung_material import SOFT_TISSUE_HU, LesionMaterial, fading, haze

    fill = haze(options["hu"], context.background_hu) * fading(context)
    return LesionMaterial(fill.astype(np.float32), SOFT_TISSUE_HU, {}, noise_field=0.15)


PARAMETERS = (haze_hu((-660, -540)), *outline((0.1, 0.17), (1.0, 1.35)))
KIND = lung_nodule(
    "ground_glass",
    "ground-glass nodule",
    draw,
    PARAMETERS,
    lobes=Lobes(24, (4.0, 14.0)),
    reading=Reading("5 to 30 mm", "hazy, lobulated", "haze that vessels show through"),
    words="Seen in the lung window only. Grows slowly, if at all: adenocarcinoma in situ, or inflammation.",
)
