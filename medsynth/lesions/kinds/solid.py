"""Homogeneous soft tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Reading, lesion_hu, lung_nodule, outline

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """Homogeneous soft tissue."""
    import numpy as np

    from medsynth.lesions.lung_material import LesionMaterial

    return LesionMaterial(context.inside.astype(np.float32), options["hu"], {})


PARAMETERS = (lesion_hu((20, 60)), *outline((0.03, 0.09), (1.0, 1.25)))
KIND = lung_nodule(
    "solid",
    "solid nodule",
    draw,
    PARAMETERS,
    reading=Reading("4 to 30 mm", "smooth, sharp", "soft tissue throughout"),
    words="Hides the vessels behind it. Round and smooth: a granuloma, a hamartoma or a metastasis are as likely as a primary tumor.",
)
