"""The kinds of lung nodule: what fills the outline, and with which HU.

HU from the literature. Solid: unenhanced nodules 20-50 HU, up to 100 after contrast medium (Swensen
et al., Radiology 2000;214:73). Ground glass: denser than lung but vessels stay visible (Hansell et
al., Fleischner glossary, Radiology 2008;246:697), below the -300 HU from which a part counts as
solid (Scholten et al., Eur Radiol 2015;25:488), about -600 in the mean. Calcium: 200 HU and more,
benign when central, diffuse, laminated or popcorn-like (Siegelman et al., Radiology 1986;160:307;
MacMahon et al., Radiology 2017;284:228).

A new kind is one more function that returns `Material` and one more entry in `LUNG_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medsynth.domains.lesion_titles import LESION_TITLES
from medsynth.lesions.outline import Ball, Lobes, Surface
from medsynth.lesions.sub_volume import SubVolume

SOFT_TISSUE_HU = 40.0


@dataclass(frozen=True)
class LungContext:
    """Where a lesion is drawn.

    Attributes:
        sub_volume: the reference's voxels around it, with the fine grid.
        surface: its outline.
        signed_mm: distance from the outline on the fine grid, negative inside.
        background_hu: the lung around it.
        pleura_mm: (N, 3) points of the chest wall near it; empty when there is none.
        generator: the lesion's own.
    """

    sub_volume: SubVolume
    surface: Surface
    signed_mm: np.ndarray
    background_hu: float
    pleura_mm: np.ndarray
    generator: np.random.Generator

    @property
    def inside(self) -> np.ndarray:
        return self.signed_mm < 0


@dataclass(frozen=True)
class Material:
    """What a lesion is made of, on the fine grid.

    Attributes:
        fill: share of the air in the lung that is replaced, 0 to 1.
        hu: of what replaces it.
        drawn: what was drawn, for the record.
        mottle: relative strength of the smooth random variation.
    """

    fill: np.ndarray
    hu: np.ndarray | float
    drawn: dict[str, Any]
    noise_field: float = 0.05


@dataclass(frozen=True)
class Kind:
    """A kind of lesion.

    Attributes:
        title: as a report says it.
        draw: fills a site, given the options (drawn or given).
        options: name -> (lowest, highest) number, or the allowed words.
        ranges: name -> the range from which an option that is not given is drawn (uniformly), or
            the words to choose from.
        reach_mm: how far the kind may stand out beyond its outline.
        lobes: the bumps of its outline.
        family: which drawer of `medsynth.lesions.procedural` puts it into the reference.
    """

    title: str
    draw: Callable[[Any, dict[str, Any]], Any]
    options: Mapping[str, tuple]
    ranges: Mapping[str, tuple]
    reach_mm: float = 0.0
    lobes: Lobes = field(default_factory=Lobes)
    family: str = "lung"


_SHAPE_OPTIONS = {"lobulation": (0.0, 0.35), "elongation": (1.0, 2.5)}
_SMOOTH = {"lobulation": (0.03, 0.09), "elongation": (1.0, 1.25)}
_LOBED = {"lobulation": (0.1, 0.17), "elongation": (1.0, 1.35)}
_KNOBBLY = Lobes(40, (5.0, 28.0))
SPICULE_MM = (2.5, 14.0)
TAG_MM = 15.0


def solid(context: LungContext, options: dict[str, Any]) -> Material:
    """Homogeneous soft tissue."""
    return Material(context.inside.astype(np.float32), options["hu"], {})


def ground_glass(context: LungContext, options: dict[str, Any]) -> Material:
    """A haze: part of the air is replaced, so vessels and lung structure show through."""
    fill = _haze(options["hu"], context.background_hu) * _fading(context)
    return Material(fill.astype(np.float32), SOFT_TISSUE_HU, {}, noise_field=0.15)


def part_solid(context: LungContext, options: dict[str, Any]) -> Material:
    """A ground-glass halo around a solid core that lies off center."""
    radius = context.surface.diameter_mm / 2
    core_radius = options["core_fraction"] * radius
    direction = context.generator.standard_normal(3)
    shift = direction / np.linalg.norm(direction) * 0.6 * (radius - core_radius)
    center = context.surface.center_mm + shift * context.generator.uniform(0.2, 1.0)
    core = _lump(context, center, 2 * core_radius) & context.inside
    halo = _haze(options["hu"], context.background_hu) * _fading(context)
    fill = np.where(core, 1.0, halo).astype(np.float32)
    hu = np.where(core, options["core_hu"], SOFT_TISSUE_HU).astype(np.float32)
    return Material(fill, hu, {"core_center_mm": center.round(2).tolist()}, noise_field=0.1)


def spiculated(context: LungContext, options: dict[str, Any]) -> Material:
    """An irregular core with tapering strands into the lung, the odd one reaching the pleura."""
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
        _strand(root, root + (way + 0.35 * generator.standard_normal(3)) * length, width, 0.4)
        for root, way, length, width in zip(roots, outward, lengths, thick, strict=True)
    ]
    tags = _pleural_tags(context, round(options["pleural_tags"]))
    spheres = np.concatenate([*strands, *tags])
    core = context.inside
    fill = np.maximum(core, 0.9 * context.sub_volume.stamp(spheres)).astype(np.float32)
    return Material(fill, options["hu"], {"pleural_tags_drawn": len(tags)})


def calcified(context: LungContext, options: dict[str, Any]) -> Material:
    """A smooth solid nodule with a benign pattern of calcium."""
    radius, center = context.surface.diameter_mm / 2, context.surface.center_mm
    generator, pattern = context.generator, options["pattern"]
    calcium = context.inside
    if pattern == "central":
        calcium = calcium & _lump(context, center, generator.uniform(0.8, 1.1) * radius)
    elif pattern == "laminated":
        depth = -context.signed_mm / radius
        calcium = calcium & (((depth > 0.12) & (depth < 0.36)) | (depth > 0.7))
    elif pattern == "popcorn":
        grains = np.zeros_like(calcium)
        for _ in range(int(generator.integers(5, 9))):
            offset = _sections(context, generator.standard_normal((1, 3)))[0]
            at = center + offset * radius * 0.62 * generator.random() ** (1 / 3)
            grains |= _ball(context, at, generator.uniform(0.2, 0.34) * radius)
        calcium = calcium & grains
    hu = np.where(calcium, options["calcium_hu"], options["hu"]).astype(np.float32)
    return Material(context.inside.astype(np.float32), hu, {}, noise_field=0.08)


def _haze(hu: float, background_hu: float) -> float:
    """Share of air to replace so that lung of `background_hu` becomes `hu`."""
    share = (hu - background_hu) / (SOFT_TISSUE_HU - background_hu)
    return float(np.clip(share, 0.05, 1.0))


def _fading(context: LungContext) -> np.ndarray:
    """1 inside, fading over the outer tenth of the diameter: haze has no sharp border."""
    soft = max(0.8, 0.1 * context.surface.diameter_mm)
    return np.clip(0.5 - context.signed_mm / soft, 0, 1)


def _ball(context: LungContext, center_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    return context.sub_volume.stamp(np.array([[*center_mm, radius_mm]]))


def _lump(context: LungContext, center_mm: np.ndarray, diameter_mm: float) -> np.ndarray:
    """A lobulated ball within the lesion."""
    lump = Ball(
        center_mm, diameter_mm, lobulation=0.14, elongation=1.2, generator=context.generator
    )
    return lump.signed_mm(context.sub_volume.samples_mm()) < 0


def _sections(context: LungContext, vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; in a single slice they stay in its plane."""
    if context.sub_volume.reference.GetSize()[2] == 1:
        normal = np.reshape(context.sub_volume.reference.GetDirection(), (3, 3))[:, 2]
        vectors = vectors - (vectors @ normal)[:, None] * normal
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _strand(start: np.ndarray, end: np.ndarray, thick_mm: float, thin_mm: float) -> np.ndarray:
    """Spheres (N, 4) from `start` to `end`, tapering from `thick_mm` to `thin_mm` in radius."""
    count = max(2, int(np.linalg.norm(end - start) / 0.2))
    part = np.linspace(-0.15, 1, count)[:, None]  # rooted a little inside the nodule
    radius = thick_mm + (thin_mm - thick_mm) * part.clip(0)
    return np.hstack([start + part * (end - start), radius])


def _pleural_tags(context: LungContext, count: int) -> list[np.ndarray]:
    """Strands to the nearest pleura, at most TAG_MM long; none where the pleura is farther."""
    if count == 0 or len(context.pleura_mm) == 0:
        return []
    away = np.linalg.norm(context.pleura_mm - context.surface.center_mm, axis=1)
    near = context.pleura_mm[away < away.min() + 6]
    tags = []
    for end in near[context.generator.integers(0, len(near), count)]:
        way = end - context.surface.center_mm
        start = context.surface.surface_points((way / np.linalg.norm(way))[None])[0]
        if 1.0 < np.linalg.norm(end - start) < TAG_MM:
            tags.append(_strand(start, end, 0.9, 0.5))
    return tags


def spicule_length_mm(diameter_mm: float) -> float:
    """Longer on a larger nodule, within reason."""
    return float(np.clip(0.75 * diameter_mm, *SPICULE_MM))


LUNG_KINDS: dict[str, Kind] = {
    "solid": Kind(
        LESION_TITLES["solid"],
        solid,
        {"hu": (-50, 150), **_SHAPE_OPTIONS},
        {"hu": (20, 60), **_SMOOTH},
    ),
    "part_solid": Kind(
        LESION_TITLES["part_solid"],
        part_solid,
        {"hu": (-750, -300), "core_hu": (-200, 150), "core_fraction": (0.2, 0.9), **_SHAPE_OPTIONS},
        {"hu": (-680, -540), "core_hu": (0, 50), "core_fraction": (0.4, 0.6), **_LOBED},
    ),
    "ground_glass": Kind(
        LESION_TITLES["ground_glass"],
        ground_glass,
        {"hu": (-750, -300), **_SHAPE_OPTIONS},
        {"hu": (-660, -540), **_LOBED},
        lobes=Lobes(24, (4.0, 14.0)),
    ),
    "spiculated": Kind(
        LESION_TITLES["spiculated"],
        spiculated,
        {
            "hu": (-50, 150),
            "spicules": (3, 60),
            "spicule_length_mm": (1, TAG_MM),
            "pleural_tags": (0, 5),
            **_SHAPE_OPTIONS,
        },
        {"hu": (20, 60), "spicules": (18, 34), "pleural_tags": (1, 2.99), **_LOBED},
        reach_mm=TAG_MM,
        lobes=_KNOBBLY,
    ),
    "calcified": Kind(
        LESION_TITLES["calcified"],
        calcified,
        {
            "hu": (-50, 150),
            "calcium_hu": (200, 1500),
            "pattern": ("central", "diffuse", "laminated", "popcorn"),
            **_SHAPE_OPTIONS,
        },
        {
            "hu": (30, 70),
            "calcium_hu": (320, 700),
            "pattern": ("central", "diffuse", "laminated", "popcorn"),
            **_SMOOTH,
        },
    ),
}
