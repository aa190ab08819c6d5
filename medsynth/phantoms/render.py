"""Shape -> voxels: HU with partial volume, and the label map on the same grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.phantoms.breast.shape import BreastShape
from medsynth.phantoms.noise_field import Texture
from medsynth.phantoms.paint import Painter, Plane
from medsynth.phantoms.thorax import tissues
from medsynth.phantoms.thorax.shape import ThoraxShape

# Sub-samples per voxel. The in-plane point spread of a body kernel is about 0.5 mm (sigma).
FINEST_SAMPLE_MM = 0.3
PSF_SIGMA_MM = 0.5


@dataclass(frozen=True)
class RenderedPhantom:
    """A rendered phantom.

    Attributes:
        image: float32 HU, LPS geometry.
        labels: uint8 on the same grid; `label_names` says what each value is.
        label_names: name -> value.
        curves: the editable control points it was rendered from.
    """

    image: sitk.Image
    labels: sitk.Image
    label_names: dict[str, int]
    curves: ThoraxShape | BreastShape


@dataclass(frozen=True)
class VoxelGrid:
    """An axis-aligned voxel grid centerd on x = y = 0.

    Attributes:
        size: columns, rows, slices.
        spacing_mm: x, y, z.
        center_z_mm: z of the middle of the stack.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    center_z_mm: float = 0.0

    def __post_init__(self) -> None:
        if any(not 1 <= n <= 2048 or int(n) != n for n in self.size):
            raise ValueError(f"size must be whole numbers from 1 to 2048, got {self.size}")
        if any(not 0.1 <= s <= 50 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must lie in 0.1 to 50, got {self.spacing_mm}")
        if not -1000 <= self.center_z_mm <= 1000:
            raise ValueError(f"center_z_mm must lie within 1000 mm, got {self.center_z_mm:g}")
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Center of voxel (0, 0, 0)."""
        half = [(n - 1) / 2 * s for n, s in zip(self.size, self.spacing_mm, strict=True)]
        return -half[0], -half[1], self.center_z_mm - half[2]


def render(
    shape: ThoraxShape, grid: VoxelGrid, *, progress: Callable[[int, int], None] | None = None
) -> RenderedPhantom:
    """Render `shape` on `grid`.

    Args:
        progress: called after each slice with (done, total).
    """
    columns, rows, slices = grid.size
    fine, oversampling, depth = _fine_plane(grid)
    parts, hu, label = _parts_of(shape)
    texture = Texture(shape.seed)
    origin = grid.origin_mm
    x_mm = origin[0] + grid.spacing_mm[0] * np.arange(columns)
    y_mm = origin[1] + grid.spacing_mm[1] * np.arange(rows)
    image = np.empty((slices, rows, columns), dtype=np.float32)
    labels = np.empty((slices, rows, columns), dtype=np.uint8)
    for k in range(slices):
        z_mm = origin[2] + grid.spacing_mm[2] * k
        total = np.zeros((rows, columns), dtype=np.float32)
        for step in range(depth):
            offset = ((step + 0.5) / depth - 0.5) * grid.spacing_mm[2]
            painted = _paint(parts, label, z_mm + offset, fine)
            total += _mean_of_blocks(hu.take(painted), oversampling)
            if step == depth // 2:
                labels[k] = label[painted[tuple(slice(n // 2, None, n) for n in oversampling)]]
        total /= depth
        total += _texture(labels[k], texture.plane(x_mm, y_mm, z_mm=z_mm), y_mm)
        sigma = [PSF_SIGMA_MM / s for s in grid.spacing_mm[1::-1]]
        image[k] = ndimage.gaussian_filter(total, sigma)
        if progress:
            progress(k + 1, slices)
    return RenderedPhantom(_sitk(image, grid), _sitk(labels, grid), dict(tissues.LABELS), shape)


def _fine_plane(grid: VoxelGrid) -> tuple[Plane, tuple[int, int], int]:
    """The oversampled plane, its (rows, columns) samples per pixel (odd), and samples along z."""
    per_pixel = [
        int(np.clip(2 * np.round((s / FINEST_SAMPLE_MM - 1) / 2) + 1, 3, 5))
        for s in grid.spacing_mm[:2]
    ]
    across, down = per_pixel
    spacing = (grid.spacing_mm[0] / across, grid.spacing_mm[1] / down)
    left, top, _ = grid.origin_mm
    origin = (left - spacing[0] * (across - 1) / 2, top - spacing[1] * (down - 1) / 2)
    size = (grid.size[0] * across, grid.size[1] * down)
    depth = int(np.clip(2 * round((grid.spacing_mm[2] / 1.2 - 1) / 2) + 1, 1, 3))
    return Plane(origin, spacing, size), (down, across), depth


# Everything to paint in order, and tables part number -> HU and part number -> label.
_Parts = tuple[list, np.ndarray, np.ndarray]
_last: tuple[ThoraxShape, _Parts] | None = None


def _parts_of(shape: ThoraxShape) -> _Parts:
    """Those of the shape rendered last stay: a set draws many slices of one person, one by one."""
    global _last
    last = _last
    if last is None or last[0] is not shape:
        last = _last = (shape, _parts(shape))
    return last[1]


def _parts(shape: ThoraxShape) -> _Parts:
    hu, label, parts = [tissues.AIR], [tissues.LABELS["air"]], []
    for organ in shape.organs.values():
        painter = Painter(organ)
        over = [tissues.LABELS[name] for name in organ.over]
        for layer in organ.layers:
            parts.append((painter, layer.inset_mm, over, len(hu)))
            hu.append(layer.hu)
            label.append(tissues.LABELS[layer.label or organ.label])
    if len(hu) > 256:
        raise ValueError(f"a shape may have at most 255 organ layers, got {len(hu) - 1}")
    return parts, np.array(hu, dtype=np.float32), np.array(label, dtype=np.uint8)


def _paint(parts: list, label: np.ndarray, z_mm: float, plane: Plane) -> np.ndarray:
    """Part numbers (rows, columns) in the plane at `z_mm`."""
    painted = np.zeros(plane.size[::-1], dtype=np.uint8)
    for painter, inset_mm, over, number in parts:
        for patch in painter.patches(z_mm, inset_mm, plane):
            below = painted[patch.rows, patch.columns]
            if not over:
                below[patch.inside] = number
                continue
            covered = below[patch.inside]
            below[patch.inside] = np.where(np.isin(label, over)[covered], number, covered)
    return painted


def _mean_of_blocks(values: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    rows, columns = values.shape
    blocks = values.reshape(rows // block[0], block[0], columns // block[1], block[1])
    total = np.zeros(blocks.shape[::2], dtype=values.dtype)
    for i, j in np.ndindex(block):
        total += blocks[:, i, :, j]
    return total / np.float32(block[0] * block[1])


def _texture(labels: np.ndarray, noise: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """HU to add: unit-variance `noise` scaled per tissue, and the lung's gravity gradient."""
    amplitude = np.zeros(256, dtype=np.float32)
    gradient = np.zeros(256, dtype=np.float32)
    for name, value in tissues.LABELS.items():
        amplitude[value] = tissues.TEXTURE_HU.get(name, 0.0)
        gradient[value] = tissues.LUNG_GRADIENT_HU_PER_MM * (name in tissues.LUNGS)
    return amplitude[labels] * noise + gradient[labels] * y_mm[:, None].astype(np.float32)


def _sitk(array: np.ndarray, grid: VoxelGrid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    return image
