"""The outline of a drawn lesion: a lobulated ball of a given volume, or a painted region, smoothed."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains.lesion_kinds import Lobes
from medsynth.images import mm_to_voxel, voxel_to_mm

SMOOTHING_MM = 1.2
POLAR = 120  # table rows: 1.5 degrees, a tenth of the narrowest bump


class Ball:
    """A star-shaped closed surface of exactly the volume of a sphere of `diameter_mm`.

    Its radius varies with the direction by a sum of smooth bumps on the sphere (a low-order series,
    like the first spherical harmonics); an affine stretch of determinant 1 makes it oval.
    """

    def __init__(
        self,
        center_mm: np.ndarray,
        diameter_mm: float,
        *,
        lobulation: float,
        elongation: float,
        generator: np.random.Generator,
        lobes: Lobes | None = None,
    ) -> None:
        lobes = lobes or Lobes()
        self.center_mm = np.asarray(center_mm, dtype=float)
        self.diameter_mm = float(diameter_mm)
        self._lobes = _directions(generator.standard_normal((lobes.count, 3)))
        self._heights = generator.standard_normal(lobes.count)
        self._sharpness = generator.uniform(*lobes.sharpness, lobes.count)
        self._lobulation = lobulation
        turn = np.linalg.qr(generator.standard_normal((3, 3)))[0]
        stretch = np.array([elongation ** (2 / 3), elongation ** (-1 / 3), elongation ** (-1 / 3)])
        self._to_ball = turn @ np.diag(1 / stretch) @ turn.T
        self._from_ball = turn @ np.diag(stretch) @ turn.T
        self._directions = _even_directions(2000)
        raw = self._bumps(self._directions)
        self._mean, self._deviation = raw.mean(), raw.std()
        # Volume = integral of R^3 / 3 over the sphere of directions.
        self._base_mm = 1.0
        relative = np.mean(self._radius(self._directions) ** 3) ** (1 / 3)
        self._base_mm = self.diameter_mm / 2 / relative
        self._table = self._radius(_polar_directions())

    def _bumps(self, directions: np.ndarray) -> np.ndarray:
        total = np.zeros(directions.shape[:-1])
        for lobe, height, sharpness in zip(
            self._lobes, self._heights, self._sharpness, strict=True
        ):
            total += height * np.exp(sharpness * (directions @ lobe - 1))
        return total

    def _radius(self, directions: np.ndarray) -> np.ndarray:
        bump = (self._bumps(directions) - self._mean) / self._deviation
        return self._base_mm * (1 + self._lobulation * 2 * np.tanh(bump / 2))

    def signed_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """About the distance from the surface, negative inside, of points (..., 3): float32 (...)."""
        offset = (points_mm - self.center_mm) @ self._to_ball.T
        x, y, z = np.moveaxis(offset, -1, 0)
        distance = np.sqrt(x * x + y * y + z * z)
        # Millions of points: look the radius up instead of summing the bumps for each.
        polar = np.arccos(np.clip(z / np.maximum(distance, 1e-9), -1, 1)) / np.pi * POLAR
        turn = (np.arctan2(y, x) / (2 * np.pi) % 1) * 2 * POLAR
        radius = ndimage.map_coordinates(self._table, [polar, turn], order=1, mode="nearest")
        return (distance - radius).astype(np.float32)

    def surface_points(self, directions: np.ndarray | None = None) -> np.ndarray:
        """Points on the surface (N, 3) mm, evenly spread unless `directions` are given."""
        directions = self._directions if directions is None else directions
        return self.center_mm + (directions * self._radius(directions)[:, None]) @ self._from_ball.T


class PaintedRegion:
    """A mask with its steps smoothed away; the volume stays."""

    def __init__(self, mask: sitk.Image) -> None:
        self._grid = mask
        inside = sitk.GetArrayFromImage(mask) > 0
        spacing = mask.GetSpacing()[::-1]
        voxel_mm3 = float(np.prod(spacing))
        marked = np.argwhere(inside)
        margin = np.ceil(6.0 / np.array(spacing)).astype(int)
        low = np.maximum(marked.min(axis=0) - margin, 0)
        high = np.minimum(marked.max(axis=0) + margin + 1, inside.shape)
        inside = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        pad = [(1, 1) if n > 1 else (0, 0) for n in inside.shape]
        padded = np.pad(inside, pad)
        distance = ndimage.distance_transform_edt(~padded, sampling=spacing)
        distance -= ndimage.distance_transform_edt(padded, sampling=spacing)
        sigma = [
            SMOOTHING_MM / s if n > 1 else 0 for s, n in zip(spacing, padded.shape, strict=True)
        ]
        smooth = ndimage.gaussian_filter(distance, sigma)
        # As many voxels inside as were painted: smoothing alone would shave off the convex parts.
        count = len(marked)
        smooth -= np.partition(smooth.ravel(), [count - 1, count])[count - 1 : count + 1].mean()
        self._low = low - np.array([p[0] for p in pad])
        self._signed = smooth.astype(np.float32)
        self._marked = marked
        self.center_mm = voxel_to_mm(mask, marked[:, ::-1].mean(axis=0))
        thick = spacing[0] if mask.GetSize()[2] == 1 else None
        volume = len(marked) * voxel_mm3
        self.diameter_mm = (
            float(2 * np.sqrt(volume / thick / np.pi))
            if thick
            else float(np.cbrt(6 * volume / np.pi))
        )

    def signed_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """About the distance from the surface, negative inside, of points (..., 3): float32 (...)."""
        index = mm_to_voxel(self._grid, points_mm)[..., ::-1] - self._low
        if self._signed.shape[0] == 1:
            index[..., 0] = 0
        return ndimage.map_coordinates(
            self._signed, np.moveaxis(index, -1, 0), order=1, mode="nearest"
        )

    def surface_points(self, directions: np.ndarray | None = None) -> np.ndarray:
        """Centers of the painted voxels (N, 3) mm; with `directions`, where those rays leave."""
        if directions is None:
            return voxel_to_mm(self._grid, self._marked[:, ::-1])
        steps = np.linspace(0, 2.5 * self.diameter_mm, 240)
        context = self.center_mm + directions[:, None, :] * steps[:, None]
        last_inside = [np.flatnonzero(line < 0)[-1:] for line in self.signed_mm(context)]
        reach = np.array([steps[found[0]] if len(found) else 0.0 for found in last_inside])
        return self.center_mm + directions * reach[:, None]


Surface = Ball | PaintedRegion


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _polar_directions() -> np.ndarray:
    """Unit vectors (POLAR + 1, 2 POLAR + 1, 3): rows from +z to -z, columns once around."""
    polar = np.linspace(0, np.pi, POLAR + 1)[:, None]
    turn = np.linspace(0, 2 * np.pi, 2 * POLAR + 1)
    x, y = np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn)
    return np.stack([x, y, np.broadcast_to(np.cos(polar), x.shape)], axis=-1)


def _even_directions(count: int) -> np.ndarray:
    """Unit vectors (count, 3) spread evenly over the sphere (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = index * np.pi * (1 + 5**0.5)
    flat = np.sqrt(1 - z**2)
    return np.column_stack([flat * np.cos(angle), flat * np.sin(angle), z])
