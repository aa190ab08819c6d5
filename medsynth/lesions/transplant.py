"""Lesions taken from an annotated study: cut out in mm, turned, scaled, mirrored, feathered in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.images import check_same_geometry, mm_to_voxel, resample_mask, voxel_to_mm
from medsynth.lesions.drawing_context import Surroundings, look_around
from medsynth.lesions.drawn import check_place, painted
from medsynth.lesions.insert import finish, most_covered
from medsynth.lesions.lesion import Lesion, equivalent_diameter_mm
from medsynth.lesions.sub_volume import SubVolume, check_within_image

SCALE = (0.2, 5.0)
FEATHER_MM = (0.0, 30.0)
SOFT_TISSUE_HU = 40.0
RIM_MM = 1.0  # the lesion's blurred edge just outside its mask goes with it whole


def from_study(
    image: sitk.Image,
    mask: sitk.Image,
    *,
    reference: sitk.Image,
    center_mm: tuple[float, float, float] | None = None,
    roi: sitk.Image | None = None,
    diameter_mm: float | None = None,
    rotate_deg: float | tuple[float, float, float] = 0.0,
    scale: float = 1.0,
    mirror: bool | str = False,
    feather_mm: float = 4.0,
    adapt: bool = True,
    body_threshold: float = -500.0,
) -> Lesion:
    """Move the lesion that `mask` marks in `image` into `reference`.

    A point of the lesion q (mm, relative to the lesion's center of mass) goes to
    p = R S M q + center: mirrored, scaled, rotated, moved, all in patient millimeters, so that
    grids, spacings and orientations of the two studies do not matter. The mask goes through the
    same map. Around the mask the source fades into the reference over `feather_mm`; of what is
    there, only aerated lung is taken along, not the source's chest wall or large vessels.

    Args:
        image: the annotated study.
        mask: marks the lesion in it; it may have a grid of its own.
        reference: what the lesion is put into; it is not changed.
        center_mm: LPS place of the lesion's center of mass.
        roi: instead: the lesion's center goes to the region's, and its size is scaled to it.
        diameter_mm: volume-equivalent diameter it is scaled to, besides `scale`.
        rotate_deg: about the reference's slice normal, or (x, y, z) about the patient's axes,
            applied in that order.
        scale: factor on all sizes.
        mirror: True: left-right; or the patient axis: "x", "y" or "z".
        feather_mm: width of the blend outside the mask.
        adapt: shift the source's lung density to the reference's around the plan.
        body_threshold: HU above which the body is told from air.

    Raises:
        ValueError: an empty mask, or a value out of its range.
        GeometryError: the lesion would leave the image or the body; the message tells by how much.
    """
    _check_options(scale, feather_mm)
    source = AnnotatedLesion(image, mask)
    center, size = _destination(reference, center_mm, roi, diameter_mm)
    if size is not None:
        scale = scale * size / source.diameter_mm
        _check_options(scale, feather_mm)
    forward = scale * _rotation(rotate_deg, reference) @ _mirror(mirror)
    drawn = {
        "center_mm": np.round(center, 3).tolist(),
        "diameter_mm": round(source.diameter_mm * scale, 3),
        **source.measured(),
        **{"rotate_deg": rotate_deg, "scale": round(float(scale), 4), "mirror": mirror},
        "feather_mm": feather_mm,
    }
    plan = _Plan(center, forward, scale, feather_mm, adapt, body_threshold)
    return _pasted(source, reference, plan, drawn)


@dataclass(frozen=True)
class _Plan:
    """p = forward @ (q - the lesion's center) + center_mm; `scale` is the forward map's."""

    center_mm: np.ndarray
    forward: np.ndarray
    scale: float
    feather_mm: float
    adapt: bool
    body_threshold: float


def _pasted(
    source: AnnotatedLesion, reference: sitk.Image, plan: _Plan, drawn: dict[str, Any]
) -> Lesion:
    """The reference with the source's lesion where the plan says."""
    moved = _MovedStudy(source, reference, plan)
    around = look_around(moved.sub_volume, plan.center_mm, body_threshold=plan.body_threshold)
    around.check_within_body(most_covered(moved.covered))
    values, shift = _blended(moved, around, feather_mm=plan.feather_mm, adapt=plan.adapt)
    drawn["density_shift_hu"] = round(shift, 1)
    drawn["background_hu"] = round(source.background_hu + shift, 1)
    return finish(
        moved.sub_volume,
        values,
        moved.covered * around.allowed(),
        kind="from_study",
        title="lesion from an annotated study",
        drawn=drawn,
        warnings=around.warnings,
        asked_mm=source.diameter_mm * plan.scale,
    )


class _MovedStudy:
    """The source as the reference's sub-volume sees it, averaged within each voxel."""

    def __init__(self, source: AnnotatedLesion, reference: sitk.Image, plan: _Plan) -> None:
        surface = plan.center_mm + (source.marked_mm() - source.center_mm) @ plan.forward.T
        check_within_image(reference, surface, plan.center_mm)
        detail_mm = float(np.clip(source.diameter_mm * plan.scale / 30, 0.35, 1.0))
        margin_mm = plan.feather_mm + RIM_MM + 2
        sub_volume = SubVolume.around(reference, surface, margin_mm=margin_mm, detail_mm=detail_mm)
        # Voxels as large as the source's take its values as they are; larger ones average them.
        footprint = 1 - np.minimum(
            1, source.voxel_mm(plan.forward, reference) / sub_volume.spacing_mm
        )
        offset = sub_volume.samples_mm(footprint) - plan.center_mm
        back = offset @ np.linalg.inv(plan.forward).T + source.center_mm
        self.source, self.sub_volume = source, sub_volume
        self.covered = sub_volume.mean_of_samples(source.mask_at(back))
        self.values = sub_volume.mean_of_samples(source.values_at(back))
        self._rim_mm = source.distance_at(back) * plan.scale - RIM_MM
        self.beyond_rim = sub_volume.mean_of_samples(self._rim_mm > 0)

    def weight(self, feather_mm: float) -> np.ndarray:
        """1 on the lesion and its rim, falling smoothly (cosine) to 0 over `feather_mm`."""
        part = np.clip(self._rim_mm / max(feather_mm, 1e-3), 0, 1)
        return self.sub_volume.mean_of_samples(0.5 + 0.5 * np.cos(np.pi * part))


def _blended(
    moved: _MovedStudy, around: Surroundings, *, feather_mm: float, adapt: bool
) -> tuple[np.ndarray, float]:
    """The sub-volume's voxels with the lesion in, and by how many HU the source's lung was shifted."""
    lung_hu, shift, values = moved.source.background_hu, 0.0, moved.values
    if adapt:
        shift = around.background_hu(moved.covered > 0) - lung_hu
        values = values + shift * _airiness(values, lung_hu)
    # Of what surrounds the lesion only aerated lung comes along.
    foreign = moved.beyond_rim * (1 - _airiness(values, lung_hu + shift))
    weight = moved.weight(feather_mm) * around.allowed() * (1 - foreign)
    return around.values + weight * (values - around.values), float(shift)


class AnnotatedLesion:
    """The annotated study around its lesion."""

    MARGIN_MM = 34.0

    def __init__(self, image: sitk.Image, mask: sitk.Image) -> None:
        on_grid = resample_mask(mask, image)
        check_same_geometry(on_grid, image)
        whole = sitk.GetArrayViewFromImage(on_grid) > 0
        marked = np.argwhere(whole)
        margin = np.ceil(self.MARGIN_MM / np.array(image.GetSpacing()[::-1])).astype(int)
        low = np.maximum(marked.min(axis=0) - margin, 0)
        high = np.minimum(marked.max(axis=0) + margin + 1, whole.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        self._image, self._low = image, low
        self._values = sitk.GetArrayViewFromImage(image)[box].astype(np.float32)
        self._mask = whole[box].astype(np.float32)
        spacing = image.GetSpacing()
        self._distance = ndimage.distance_transform_edt(self._mask == 0, sampling=spacing[::-1])
        self._distance = self._distance.astype(np.float32)
        self._marked = marked
        self.center_mm = voxel_to_mm(image, marked[:, ::-1].mean(axis=0))
        thickness = spacing[2] if image.GetSize()[2] == 1 else None
        self.diameter_mm = equivalent_diameter_mm(len(marked) * float(np.prod(spacing)), thickness)
        ring = (self._distance > 1.5) & (self._distance < 10) & (self._values < -500)
        ring &= self._values > -990
        self.background_hu = float(np.median(self._values[ring])) if ring.sum() >= 20 else -850.0

    def measured(self) -> dict[str, Any]:
        """Where and how large the lesion is in its own study."""
        center = np.round(self.center_mm, 3).tolist()
        return {"source_center_mm": center, "source_diameter_mm": round(self.diameter_mm, 3)}

    def voxel_mm(self, forward: np.ndarray, reference: sitk.Image) -> np.ndarray:
        """Extent of the source's mapped voxels along the reference's axes i, j, k."""
        matrix = np.reshape(self._image.GetDirection(), (3, 3)) * self._image.GetSpacing()
        axes = np.reshape(reference.GetDirection(), (3, 3)).T @ forward @ matrix
        return np.linalg.norm(axes, axis=1)

    def marked_mm(self) -> np.ndarray:
        """LPS mm (N, 3) of the marked voxels' centers."""
        return voxel_to_mm(self._image, self._marked[:, ::-1])

    def values_at(self, points_mm: np.ndarray) -> np.ndarray:
        """HU at points (..., 3), linear; beyond the study its nearest voxel."""
        return self._at(self._values, points_mm)

    def mask_at(self, points_mm: np.ndarray) -> np.ndarray:
        """The mask at points (..., 3), linear, 0 to 1."""
        return self._at(self._mask, points_mm)

    def distance_at(self, points_mm: np.ndarray) -> np.ndarray:
        """Source mm from the marked voxels at points (..., 3), 0 inside."""
        return self._at(self._distance, points_mm)

    def _at(self, values: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
        index = mm_to_voxel(self._image, points_mm)[..., ::-1] - self._low
        return ndimage.map_coordinates(values, np.moveaxis(index, -1, 0), order=1, mode="nearest")


def _airiness(values: np.ndarray, lung_hu: float) -> np.ndarray:
    """1 for aerated lung of `lung_hu`, 0 for soft tissue."""
    return np.clip((SOFT_TISSUE_HU - values) / (SOFT_TISSUE_HU - lung_hu), 0, 1)


def _destination(
    reference: sitk.Image, center_mm: Any, roi: sitk.Image | None, diameter_mm: float | None
) -> tuple[np.ndarray, float | None]:
    """Where the lesion goes, and the diameter it is scaled to, if any."""
    if (roi is None) == (center_mm is None):
        raise ValueError("give either roi or center_mm")
    if roi is not None:
        if diameter_mm is not None:
            raise ValueError("diameter_mm cannot act: the lesion takes the size of the roi")
        region = painted(roi, reference)
        return region.center_mm, region.diameter_mm
    center, _ = check_place(center_mm, 10.0 if diameter_mm is None else diameter_mm)
    return center, diameter_mm


def _check_options(scale: float, feather_mm: float) -> None:
    if not SCALE[0] <= scale <= SCALE[1]:
        raise ValueError(
            f"scale must lie in {SCALE[0]:g} to {SCALE[1]:g}, got {scale:.3g}; choose another size "
            "or another source lesion"
        )
    if not FEATHER_MM[0] <= feather_mm <= FEATHER_MM[1]:
        raise ValueError(
            f"feather_mm must lie in {FEATHER_MM[0]:g} to {FEATHER_MM[1]:g}, got {feather_mm:g}"
        )


def _rotation(rotate_deg: float | tuple[float, float, float], reference: sitk.Image) -> np.ndarray:
    """Rotation matrix (3, 3) in LPS."""
    angles = np.asarray(rotate_deg, dtype=float)
    if angles.ndim == 0 and np.isfinite(angles):
        normal = np.reshape(reference.GetDirection(), (3, 3))[:, 2]
        return _about(normal, float(angles))
    if angles.shape != (3,) or not np.all(np.isfinite(angles)):
        raise ValueError(f"rotate_deg must be one angle or three, got {rotate_deg!r}")
    x, y, z = (_about(axis, angle) for axis, angle in zip(np.eye(3), angles, strict=True))
    return z @ y @ x


def _about(axis: np.ndarray, angle_deg: float) -> np.ndarray:
    """Rodrigues' formula."""
    angle = np.deg2rad(angle_deg)
    cross = np.cross(axis, np.eye(3)).T
    outer = np.outer(axis, axis)
    return np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * outer


def _mirror(mirror: bool | str) -> np.ndarray:
    axis = {False: None, True: 0, "x": 0, "y": 1, "z": 2}.get(mirror, -1)
    if axis == -1:
        raise ValueError(f"mirror must be true, false, x, y or z, got {mirror!r}")
    flip = np.eye(3)
    if axis is not None:
        flip[axis, axis] = -1
    return flip
