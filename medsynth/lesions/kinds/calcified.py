"""A smooth solid nodule with a benign pattern of calcium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Option, Reading, lesion_hu, lung_nodule, one_of, outline

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """A smooth solid nodule with a benign pattern of calcium."""
    import numpy as np

    from medsynth.lesions.lung_material import LesionMaterial, ball, lump, sections

    radius, center = context.surface.diameter_mm / 2, context.surface.center_mm
    generator, pattern = context.generator, options["pattern"]
    calcium = context.inside
    if pattern == "central":
        calcium = calcium & lump(context, center, generator.uniform(0.8, 1.1) * radius)
    elif pattern == "laminated":
        depth = -context.signed_mm / radius
        calcium = calcium & (((depth > 0.12) & (depth < 0.36)) | (depth > 0.7))
    elif pattern == "popcorn":
        grains = np.zeros_like(calcium)
        for _ in range(int(generator.integers(5, 9))):
            offset = sections(context, generator.standard_normal((1, 3)))[0]
            at = center + offset * radius * 0.62 * generator.random() ** (1 / 3)
            grains |= ball(context, at, generator.uniform(0.2, 0.34) * radius)
        calcium = calcium & grains
    hu = np.where(calcium, options["calcium_hu"], options["hu"]).astype(np.float32)
    return LesionMaterial(context.inside.astype(np.float32), hu, {}, noise_field=0.08)


PARAMETERS = (
    lesion_hu((30, 70)),
    Option("calcium_hu", (200, 1500), (320, 700), "HU of the calcium"),
    one_of("pattern", ("central", "diffuse", "laminated", "popcorn"), "where the calcium is"),
    *outline((0.03, 0.09), (1.0, 1.25)),
)
KIND = lung_nodule(
    "calcified",
    "calcified nodule",
    draw,
    PARAMETERS,
    reading=Reading("4 to 20 mm", "smooth, sharp", "soft tissue with calcium"),
    words="Central, diffuse, laminated or popcorn calcium: a benign pattern, of a healed granuloma or a hamartoma.",
)
