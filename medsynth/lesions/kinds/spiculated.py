"""An irregular core with tapering strands into the lung, the odd one reaching the pleura."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import (
    Lobes,
    Option,
    Reading,
    lesion_hu,
    lung_nodule,
    outline,
    spicules,
)

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext

TAG_MM = 15.0


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """An irregular core with tapering strands into the lung, the odd one reaching the pleura."""
    import numpy as np

    from medsynth.lesions.lung_material import LesionMaterial, pleural_tags, strand

    generator, count = context.generator, round(options["spicules"])
    # Around the whole nodule: a single slice shows those it cuts. Laid into its plane, all of them
    # would fuse into a rim, and a nodule of 10 mm would look half as large again.
    directions = generator.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    roots = context.surface.surface_points(directions)
    outward = roots - context.surface.center_mm
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    lengths = generator.uniform(0.45, 1.0, count) * options["spicule_length_mm"]
    thick = generator.uniform(1.0, 2.0, count)
    strands = [
        strand(root, root + (way + 0.35 * generator.standard_normal(3)) * length, width, 0.4)
        for root, way, length, width in zip(roots, outward, lengths, thick, strict=True)
    ]
    tags = pleural_tags(context, round(options["pleural_tags"]))
    spheres = np.concatenate([*strands, *tags])
    core = context.inside
    fill = np.maximum(core, 0.9 * context.sub_volume.stamp(spheres)).astype(np.float32)
    return LesionMaterial(fill, options["hu"], {"pleural_tags_drawn": len(tags)})


PARAMETERS = (
    lesion_hu((20, 60)),
    *spicules((18, 34), longest_mm=TAG_MM),
    Option(
        "pleural_tags",
        (0, 5),
        (1, 2.99),
        "strands to the pleura, where it is within reach",
        whole=True,
    ),
    *outline((0.1, 0.17), (1.0, 1.35)),
)
KIND = lung_nodule(
    "spiculated",
    "spiculated nodule",
    draw,
    PARAMETERS,
    reach_mm=TAG_MM,
    lobes=Lobes(40, (5.0, 28.0)),
    reading=Reading("8 to 30 mm", "spiculated, tags to the pleura", "soft tissue throughout"),
    words="Strands radiate into the lung. Of all nodules the most suspicious of a primary tumor.",
)
