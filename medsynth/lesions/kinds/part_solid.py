"""A ground-glass halo around a solid core that lies off center."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.domains.lesion_kinds import Option, Reading, haze_hu, lung_nodule, outline

if TYPE_CHECKING:
    from medsynth.lesions.lung_material import LesionMaterial, LungContext


def draw(context: LungContext, options: dict[str, Any]) -> LesionMaterial:
    """A ground-glass halo around a solid core that lies off center."""
    import numpy as np

    from medsynth.lesions.lung_material import SOFT_TISSUE_HU, LesionMaterial, fading, haze, lump

    radius = context.surface.diameter_mm / 2
    core_radius = options["core_fraction"] * radius
    direction = context.generator.standard_normal(3)
    shift = direction / np.linalg.norm(direction) * 0.6 * (radius - core_radius)
    center = context.surface.center_mm + shift * context.generator.uniform(0.2, 1.0)
    core = lump(context, center, 2 * core_radius) & context.inside
    halo = haze(options["hu"], context.background_hu) * fading(context)
    fill = np.where(core, 1.0, halo).astype(np.float32)
    hu = np.where(core, options["core_hu"], SOFT_TISSUE_HU).astype(np.float32)
    return LesionMaterial(fill, hu, {"core_center_mm": center.round(2).tolist()}, noise_field=0.1)


PARAMETERS = (
    haze_hu((-680, -540)),
    Option("core_hu", (-200, 150), (0, 50), "HU of the solid core"),
    Option("core_fraction", (0.2, 0.9), (0.4, 0.6), "diameter of the core over the lesion's"),
    *outline((0.1, 0.17), (1.0, 1.35)),
)
KIND = lung_nodule(
    "part_solid",
    "part-solid nodule",
    draw,
    PARAMETERS,
    reading=Reading("8 to 30 mm", "hazy, lobulated", "ground glass around a solid core"),
    words="The size of the solid core decides how it is followed. Typical of invasive adenocarcinoma that grows along the alveoli.",
)
