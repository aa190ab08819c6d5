"""A cluster of calcifications: each as bright as it is thick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import LesionKind, Option, Reading, contrast, one_of, outline

if TYPE_CHECKING:
    from medsynth.lesions.mammogram import ProjectedLesion, ProjectionContext


def draw(context: ProjectionContext, options: dict[str, Any]) -> ProjectedLesion:
    """A cluster of calcifications: each as bright as it is thick."""
    import numpy as np
    from scipy import ndimage

    from medsynth.lesions.mammogram import PARTICLE_MM, TYPICAL_MM, ProjectedLesion
    from medsynth.lesions.mammogram_shapes import (
        calcification,
        calcification_places,
        paste,
        places_mm,
    )

    generator, count = context.generator, round(options["count"])
    sizes = options["size_mm"] * np.exp(generator.normal(0, 0.35, count))
    sizes = np.clip(sizes, *PARTICLE_MM)
    form = options["morphology"]
    places, ways = calcification_places(context, count, along_lines=form == "linear")
    added = np.zeros_like(context.signed_mm)
    for place, way, size in zip(places, ways, sizes, strict=True):
        thickness = calcification(context, size, way, form=form)
        paste(added, place, options["contrast"] * thickness / TYPICAL_MM)
    if form == "amorphous":
        added = ndimage.gaussian_filter(added, 0.15 / context.step_mm)
    particles = [
        {"position_mm": np.round(position, 2).tolist(), "size_mm": round(float(size), 3)}
        for position, size in zip(places_mm(context, places), sizes, strict=True)
    ]
    return ProjectedLesion(added, {"particles": particles}, scattered=True)


PARAMETERS = (
    contrast((40, 75)),
    Option(
        "count",
        (3, 100),
        (8, 26),
        "how many calcifications; `diameter_mm` is the cluster's",
        whole=True,
    ),
    Option("size_mm", (0.1, 0.5), (0.2, 0.34), "their median size; each is within 0.1 to 0.5"),
    one_of(
        "morphology",
        ("punctate", "pleomorphic", "linear", "amorphous"),
        "their form; `linear` ones lie along a branching duct",
    ),
    *outline((0.05, 0.15), (1.0, 1.5)),
)
KIND = LesionKind(
    "microcalcifications",
    "cluster of microcalcifications",
    draw,
    PARAMETERS,
    code=("129769006", "SCT", "Calcification Cluster"),
    drawer="projection",
    detail_mm=0.05,
    factor=1,  # of a speck of one pixel a larger one would leave nothing,
    reading=Reading("5 to 20 mm across the cluster", "of each speck: sharp", "calcium"),
    words="At least five specks within a square centimeter. Their form decides: round and even is benign, fine and branching is suspicious of DCIS.",
)
