"""Where lesions lie in an image: in the region asked for, away from what is there, from one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.errors import GeometryError
from medsynth.factory.plan import LesionPlace
from medsynth.images import voxel_to_mm
from medsynth.lesions import distances
from medsynth.pipeline.preprocessing import PreprocessedReference

# A slice shows the organ if it fills this share of it.
LEAST_SHARE = 0.02
# A lesion of this many radii lies within the region; one at its border reaches it with its edge.
WITHIN = 1.15
AT_BORDER = (0.7, 1.0)
FINDING_MM = 2.0


@dataclass(frozen=True, eq=False)
class Scene:
    """An anatomy on the grid of its network, and what is where in it: masks (k, j, i) by name.

    `findings`: bool (k, j, i), what the reference already shows; None: nothing is known.
    """

    preprocessed: PreprocessedReference
    preset: Preset
    place: LesionPlace
    findings: np.ndarray | None = None

    @property
    def image(self) -> sitk.Image:
        """The reference."""
        return self.preprocessed.reference.image

    @cached_property
    def region(self) -> np.ndarray:
        """Where lesions may lie."""
        return self._find(self.preset.places[self.place.where])

    @cached_property
    def depth_mm(self) -> np.ndarray:
        """How far each voxel of the region is from its border; 0 outside."""
        return distances.depth_mm(self.region, self.image.GetSpacing()[::-1]).astype(np.float32)

    @cached_property
    def clearance_mm(self) -> dict[str, np.ndarray]:
        """How far each voxel of the region is from each structure that lesions keep away from."""
        return {
            name: self._from(self._find(self.preset.structures[name]))
            for name in self.place.away_from
        }

    @cached_property
    def from_findings_mm(self) -> np.ndarray | None:
        """How far each voxel of the region is from what the reference already shows."""
        if self.findings is None or not self.findings.any():
            return None
        return self._from(self.findings)

    @property
    def shows_organ(self) -> bool:
        """Whether there is enough of the region to be worth an image."""
        return bool(self.region.mean() >= LEAST_SHARE)

    def _find(self, finder: object) -> np.ndarray:
        from medsynth.domains.base import OrganFinder

        assert isinstance(finder, OrganFinder)
        values = sitk.GetArrayViewFromImage(self.image)
        return finder.finder(values, self.image.GetSpacing(), self.preset.body_threshold)

    def _from(self, structure: np.ndarray) -> np.ndarray:
        spacing = self.image.GetSpacing()[::-1]
        return distances.distance_mm(structure, spacing, wanted=self.region).astype(np.float32)


@dataclass(frozen=True)
class Wanted:
    """A lesion that needs a place: its diameter, and whether it touches the region's border."""

    diameter_mm: float
    pleural: bool = False


def choose(
    scene: Scene, wanted: Sequence[Wanted], generator: np.random.Generator
) -> list[tuple[float, float, float]]:
    """A center for each lesion, in LPS mm: drawn evenly from all that keep the plan's distances.

    Raises:
        GeometryError: there is none for one of them.
    """
    centers: list[tuple[float, float, float]] = []
    for lesion in wanted:
        possible = _possible(scene, lesion)
        for center, other in zip(centers, wanted, strict=False):
            gap = scene.place.min_distance_mm + (lesion.diameter_mm + other.diameter_mm) / 2
            _keep_away(possible, scene.image, center, gap)
        voxels = np.flatnonzero(possible)
        if not len(voxels):
            raise GeometryError(
                f"no place for a lesion of {lesion.diameter_mm:.1f} mm in the {scene.place.where}"
            )
        chosen = int(voxels[int(generator.integers(len(voxels)))])
        index = np.unravel_index(chosen, possible.shape)
        at = voxel_to_mm(scene.image, np.array(index[::-1], dtype=float))
        x, y, z = (round(float(value), 3) for value in at)
        centers.append((x, y, z))
    return centers


def _possible(scene: Scene, lesion: Wanted) -> np.ndarray:
    radius = lesion.diameter_mm / 2
    depth = scene.depth_mm
    if lesion.pleural:
        possible = (depth >= AT_BORDER[0] * radius) & (depth <= AT_BORDER[1] * radius)
    else:
        possible = depth >= WITHIN * radius
    for name, distance_mm in scene.place.away_from.items():
        possible &= scene.clearance_mm[name] >= radius + distance_mm
    if scene.from_findings_mm is not None:
        possible &= scene.from_findings_mm >= radius + FINDING_MM
    return possible


def _keep_away(
    possible: np.ndarray, image: sitk.Image, center_mm: Sequence[float], gap_mm: float
) -> None:
    """Clear `possible` (k, j, i) within `gap_mm` of a center, in place."""
    middle = image.TransformPhysicalPointToContinuousIndex([float(value) for value in center_mm])
    axes = [
        (np.arange(count) - at) * step
        for count, at, step in zip(image.GetSize(), middle, image.GetSpacing(), strict=True)
    ]
    x, y, z = axes[0][None, None], axes[1][None, :, None], axes[2][:, None, None]
    possible &= x**2 + y**2 + z**2 >= gap_mm**2
