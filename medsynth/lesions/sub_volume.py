"""The part of the reference around a lesion, and a finer grid in it for partial volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.images import mm_to_voxel, voxel_to_mm

MOST_SAMPLES = 4_000_000


@dataclass(frozen=True)
class SubVolume:
    """A box of voxels of `reference` (all of it when it is small).

    Attributes:
        reference: the whole image.
        low: i, j, k of the first voxel.
        size: voxels along i, j, k.
        fine: samples per voxel along i, j, k.
    """

    reference: sitk.Image
    low: tuple[int, int, int]
    size: tuple[int, int, int]
    fine: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def around(
        cls, reference: sitk.Image, points_mm: np.ndarray, *, margin_mm: float, detail_mm: float
    ) -> SubVolume:
        """The box around `points_mm` (N, 3) and `margin_mm` more, cut to the image.

        Args:
            detail_mm: samples are not further apart than this, as memory allows.
        """
        spacing = np.array(reference.GetSpacing())
        index = mm_to_voxel(reference, points_mm)
        margin = margin_mm / spacing
        last = np.array(reference.GetSize()) - 1
        low = np.clip(np.floor(index.min(axis=0) - margin), 0, last).astype(int)
        high = np.clip(np.ceil(index.max(axis=0) + margin), 0, last).astype(int)
        size = high - low + 1
        fine = np.clip(np.ceil(spacing / detail_mm), 1, 8).astype(int)
        while np.prod(size * fine) > MOST_SAMPLES and fine.max() > 1:
            fine[np.argmin(np.where(fine > 1, spacing / fine, np.inf))] -= 1
        return cls(reference, _three(low), _three(size), _three(fine))

    def wider(self, margin_mm: float) -> SubVolume:
        """The box with `margin_mm` more on every side, cut to the image; no fine grid."""
        margin = np.ceil(margin_mm / np.array(self.spacing_mm)).astype(int)
        low = np.maximum(np.array(self.low) - margin, 0)
        high = np.minimum(
            np.array(self.low) + self.size + margin, np.array(self.reference.GetSize())
        )
        return SubVolume(self.reference, _three(low), _three(high - low))

    def within(self, wide: SubVolume) -> tuple[slice, slice, slice]:
        """This sub-volume in the array (k, j, i) of a `wide` one that contains it."""
        return _slices(_three(np.array(self.low) - wide.low), self.size)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return self.reference.GetSpacing()

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The sub-volume in the whole image's array (k, j, i)."""
        return _slices(self.low, self.size)

    def voxels_mm(self) -> np.ndarray:
        """LPS mm of voxel centers: (k, j, i, 3)."""
        return self._points([np.arange(n, dtype=float) for n in self.size])

    def samples_mm(self, footprint: np.ndarray | float = 1.0) -> np.ndarray:
        """LPS mm of the fine grid's points: (k * fine, j * fine, i * fine, 3).

        Args:
            footprint: part of the voxel's width (along i, j, k) over which its samples spread; 0
                puts them all on its center.
        """
        footprint = np.broadcast_to(footprint, 3)
        index = []
        for n, f, width in zip(self.size, self.fine, footprint, strict=True):
            within = ((np.arange(f) + 0.5) / f - 0.5) * width
            index.append((np.arange(n)[:, None] + within).ravel())
        return self._points(index)

    def _points(self, index: list[np.ndarray]) -> np.ndarray:
        i, j, k = (axis + low for axis, low in zip(index, self.low, strict=True))
        grid = np.stack(np.meshgrid(k, j, i, indexing="ij")[::-1], axis=-1)
        return voxel_to_mm(self.reference, grid)

    def mean_of_samples(self, values: np.ndarray) -> np.ndarray:
        """Fine-grid `values` averaged within each voxel: (k, j, i), float32."""
        shape = [m for n, f in zip(self.size[::-1], self.fine[::-1], strict=True) for m in (n, f)]
        return values.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)

    def of_diameter(self, signed_mm: np.ndarray, diameter_mm: float) -> np.ndarray:
        """`signed_mm` of an image of one slice, moved so that it is negative in a disc's area.

        A ball has the volume of a sphere of `diameter_mm`; what one slice shows of it is measured by
        its area, which differs where the ball is oval or the slice is thick.
        """
        step = [s / f for s, f in zip(self.spacing_mm, self.fine, strict=True)]
        count = round(self.fine[2] * np.pi * diameter_mm**2 / 4 / (step[0] * step[1]))
        count = int(np.clip(count, 1, signed_mm.size - 1))
        return signed_mm - np.partition(signed_mm.ravel(), count)[count]

    def to_samples(self, points_mm: np.ndarray) -> np.ndarray:
        """Continuous fine-grid indices (N, 3), in array order k, j, i."""
        index = mm_to_voxel(self.reference, points_mm) - np.array(self.low)
        return ((index + 0.5) * np.array(self.fine) - 0.5)[:, ::-1]

    def stamp(self, spheres: np.ndarray) -> np.ndarray:
        """Fine-grid points within any sphere of `spheres` (N, 4: x, y, z, radius in mm), boolean."""
        shape = [n * f for n, f in zip(self.size[::-1], self.fine[::-1], strict=True)]
        step = np.array(self.spacing_mm[::-1]) / np.array(self.fine[::-1])
        covered = np.zeros(shape, dtype=bool)
        for center, radius in zip(self.to_samples(spheres[:, :3]), spheres[:, 3], strict=True):
            low = np.maximum(np.ceil(center - radius / step), 0).astype(int)
            high = np.minimum(np.floor(center + radius / step) + 1, shape).astype(int)
            if np.all(low < high):
                axes = [
                    (np.arange(a, b) - c) * s
                    for a, b, c, s in zip(low, high, center, step, strict=True)
                ]
                near = (
                    axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2 <= radius**2
                )
                covered[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= near
        return covered


def check_within_image(reference: sitk.Image, points_mm: np.ndarray, center_mm: np.ndarray) -> None:
    """Raises GeometryError when a lesion's surface `points_mm` (N, 3) leaves the image.

    Along an axis of a single voxel (one slice) only the center has to lie in the slice.
    """
    size, spacing = np.array(reference.GetSize()), np.array(reference.GetSpacing())
    index = np.concatenate([mm_to_voxel(reference, points_mm), [mm_to_voxel(reference, center_mm)]])
    single = size == 1
    index[:-1, single] = index[-1, single]
    beyond = np.maximum(-0.5 - index, index - (size - 0.5)).clip(min=0) * spacing
    worst = float(np.linalg.norm(beyond, axis=1).max())
    if worst > 1e-3:
        alone = float(np.linalg.norm(beyond[-1]))
        where = f"; its center is {alone:.1f} mm outside" if alone > 1e-3 else ""
        raise GeometryError(
            f"the lesion would leave the image by {worst:.1f} mm{where}; move its center or make "
            "it smaller"
        )


def _three(numbers: np.ndarray) -> tuple[int, int, int]:
    i, j, k = numbers.tolist()
    return i, j, k


def _slices(low: Sequence[int], size: Sequence[int]) -> tuple[slice, slice, slice]:
    """The box from `low` of `size` voxels, both i, j, k, in an array (k, j, i)."""
    i, j, k = (slice(start, start + n) for start, n in zip(low, size, strict=True))
    return k, j, i
