"""Homogeneous soft tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import ELONGATION, LOBULATION, LesionKind, Option

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """Homogeneous soft tissue."""
    import numpy as np

    from medsynth.lesions.lung_material import LesionMaterial

    return LesionMaterial(context.inside.astype(np.float32), options["hu"], {})


KIND = LesionKind(
    name="solid",
    title="solid nodule",
    code=("27925004", "SCT", "Nodule"),
    drawer="lung",
    draw=draw,
    parameters=(
        Option("hu", (-50, 150), (20, 60), "HU of the lesion"),
        Option("lobulation", (0.0, 0.35), (0.03, 0.09), LOBULATION),
        Option("elongation", (1.0, 2.5), (1.0, 1.25), ELONGATION),
    ),
)
