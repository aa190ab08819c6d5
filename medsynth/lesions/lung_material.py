"""What fills the outline of a lung nodule, and with which HU; each kind adds its own in its file.

HU from the literature. Solid: unenhanced nodules 20-50 HU, up to 100 after contrast medium (Swensen
et al., Radiology 2000;214:73). Ground glass: denser than lung but vessels stay visible (Hansell et
al., Fleischner glossary, Radiology 2008;246:697), below the -300 HU from which a part counts as
solid (Scholten et al., Eur Radiol 2015;25:488), about -600 in the mean. Calcium: 200 HU and more,
benign when central, diffuse, laminated or popcorn-like (Siegelman et al., Radiology 1986;160:307;
MacMahon et al., Radiology 2017;284:228).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth.lesions.context import DrawingContext
from medsynth.lesions.outline import Ball

SOFT_TISSUE_HU = 40.0


@dataclass(frozen=True)
class LungContext(DrawingContext):
    """Where a nodule is drawn.

    Attributes:
        background_hu: the lung around it.
        pleura_mm: (N, 3) points of the chest wall near it; empty when there is none.
    """

    background_hu: float
    pleura_mm: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        return self.signed_mm < 0


@dataclass(frozen=True)
class LesionMaterial:
    """What a lesion is made of, on the fine grid.

    Attributes:
        fill: share of the air in the lung that is replaced, 0 to 1.
        hu: of what replaces it.
        drawn: what was drawn, for the record.
        noise_field: relative strength of the smooth random variation.
    """

    fill: np.ndarray
    hu: np.ndarray | float
    drawn: dict[str, Any]
    noise_field: float = 0.05


SPICULE_MM = (2.5, 14.0)
TAG_MM = 15.0


def haze(hu: float, background_hu: float) -> float:
    """Share of air to replace so that lung of `background_hu` becomes `hu`."""
    share = (hu - background_hu) / (SOFT_TISSUE_HU - background_hu)
    return float(np.clip(share, 0.05, 1.0))


def fading(context: LungContext) -> np.ndarray:
    """1 inside, fading over the outer tenth of the diameter: haze has no sharp border."""
    soft = max(0.8, 0.1 * context.surface.diameter_mm)
    return np.clip(0.5 - context.signed_mm / soft, 0, 1)


def ball(context: LungContext, center_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    return context.sub_volume.stamp(np.array([[*center_mm, radius_mm]]))


def lump(context: LungContext, center_mm: np.ndarray, diameter_mm: float) -> np.ndarray:
    """A lobulated ball within the lesion."""
    lump = Ball(
        center_mm, diameter_mm, lobulation=0.14, elongation=1.2, generator=context.generator
    )
    return lump.signed_mm(context.sub_volume.samples_mm()) < 0


def sections(context: LungContext, vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; in a single slice they stay in its plane."""
    if context.sub_volume.reference.GetSize()[2] == 1:
        normal = np.reshape(context.sub_volume.reference.GetDirection(), (3, 3))[:, 2]
        vectors = vectors - (vectors @ normal)[:, None] * normal
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def strand(start: np.ndarray, end: np.ndarray, thick_mm: float, thin_mm: float) -> np.ndarray:
    """Spheres (N, 4) from `start` to `end`, tapering from `thick_mm` to `thin_mm` in radius."""
    count = max(2, int(np.linalg.norm(end - start) / 0.2))
    part = np.linspace(-0.15, 1, count)[:, None]  # rooted a little inside the nodule
    radius = thick_mm + (thin_mm - thick_mm) * part.clip(0)
    return np.hstack([start + part * (end - start), radius])


def pleural_tags(context: LungContext, count: int) -> list[np.ndarray]:
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
            tags.append(strand(start, end, 0.9, 0.5))
    return tags


def spicule_length_mm(diameter_mm: float) -> float:
    """Longer on a larger nodule, within reason."""
    return float(np.clip(0.75 * diameter_mm, *SPICULE_MM))
