"""The patch pipeline of the paper: a lesion cut from an annotated projection image, brought to another's look.

In its order (Krishna et al., mammography): histogram equalization; normalization to [min(reference),
quantile of the reference at u] with u ~ U(0.975, 0.995); a Gaussian taper towards the patch's edge;
random rotation, translation and flips, the mask with them. The spherical Gaussian W follows where the
reference is composed (`weight: gaussian`). Each step can be switched off, each draw is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.errors import GeometryError
from medsynth.images import check_same_geometry, resample_mask
from medsynth.lesions.drawn import painted
from medsynth.lesions.lesion import Lesion, equivalent_diameter_mm
from medsynth.lesions.mammogram import breast_array, projection_lesion
from medsynth.lesions.sub_volume import SubVolume, check_within_image

QUANTILE = (0.975, 0.995)
PATCH = 2.0  # side of the patch in diameters of its lesion
TAPER = 0.5  # standard deviation of the taper over half the patch's side
TRIES = 20
_MIRRORS = {
    False: np.eye(2),
    True: np.diag([-1.0, 1.0]),
    "x": np.diag([-1.0, 1.0]),
    "y": np.diag([1.0, -1.0]),
}


@dataclass(frozen=True)
class Steps:
    """Which steps of the pipeline act.

    `normalize` is the part of the reference whose minimum and quantile are taken: `breast` or
    `patch` (what the patch will cover); None leaves the source's gray values. `quantile` fixes u.
    """

    equalize: bool = True
    normalize: str | None = "breast"
    quantile: float | None = None
    taper: bool = True
    rotate: bool = True
    flip: bool = True
    shift_mm: float = 3.0

    def __post_init__(self) -> None:
        if self.normalize not in ("breast", "patch", None):
            raise ValueError(f"normalize must be breast, patch or None, got {self.normalize!r}")
        if self.equalize and self.normalize is None:
            raise ValueError("equalize leaves ranks, not gray values: it needs normalize")
        if self.quantile is not None and self.normalize is None:
            raise ValueError("quantile cannot act without normalize")
        if self.quantile is not None and not 0.5 <= self.quantile <= 1:
            raise ValueError(f"quantile must lie in 0.5 to 1, got {self.quantile:g}")
        if not 0 <= self.shift_mm <= 30:
            raise ValueError(f"shift_mm must lie in 0 to 30, got {self.shift_mm:g}")


@dataclass(frozen=True, eq=False)
class LesionPatch:
    """The square around a lesion in its own projection image: `values` and `mask` (n, n), pixels of `step`.

    `diameter` is the lesion's, in the projection image's own millimeters (which may be pixels).
    """

    values: np.ndarray
    mask: np.ndarray
    step: float
    diameter: float


def from_projection(
    image: sitk.Image,
    mask: sitk.Image,
    *,
    reference: sitk.Image,
    center_mm: tuple[float, float, float] | None = None,
    diameter_mm: float | None = None,
    roi: sitk.Image | None = None,
    steps: Steps | None = None,
    seed: int = 0,
    rotate_deg: float = 0.0,
    scale: float = 1.0,
    mirror: bool | str = False,
    body_threshold: float = 10.0,
) -> Lesion:
    """Put the lesion that `mask` marks in `image` into the projection image `reference`.

    Args:
        image: the annotated projection image; its pixel size does not matter, `diameter_mm` decides.
        mask: marks the lesion in it.
        reference: one slice in gray values; it is not changed.
        center_mm: where the lesion's center of mass goes, before the random shift.
        diameter_mm: of the circle with its area, before `scale`.
        roi: instead of both: the lesion takes the region's center and size.
        steps: what acts; None: everything.
        seed: of all draws.
        rotate_deg: besides the random rotation.
        mirror: besides the random one, before the rotation: left to right (true, "x") or upside
            down ("y").

    Raises:
        ValueError: an empty mask, more than one slice, or a value out of its range.
        GeometryError: the lesion leaves the projection image, or none of TRIES draws keeps it in the breast.
    """
    steps = steps or Steps()
    for name, each in (("the source image", image), ("the reference", reference)):
        if each.GetSize()[2] != 1:
            raise ValueError(
                f"{name} has {each.GetSize()[2]} slices, expected one projection image"
            )
    center, diameter = _target(reference, center_mm, diameter_mm, roi)
    patch = cut_out(image, mask)
    generator = np.random.default_rng([int(seed), 2027])
    u = float(generator.uniform(*QUANTILE)) if steps.quantile is None else steps.quantile
    zoom = scale * diameter / patch.diameter
    whole = sitk.GetArrayViewFromImage(reference)
    breast = breast_array(whole, reference.GetSpacing(), body_threshold)
    base = _rotation(rotate_deg) @ _MIRRORS[mirror]
    tries = 0
    worst = 0.0
    while True:
        tries += 1
        draw = _draw(generator, steps)
        moved = _MovedPatch(
            patch, reference, center, zoom=zoom, matrix=draw.matrix @ base, shift=draw.shift_mm
        )
        worst = moved.outside_mm(breast)
        if worst == 0:
            break
        if tries == (TRIES if draw.random else 1):
            raise GeometryError(
                f"the lesion would leave the breast by {worst:.1f} mm (the last of {tries} draws); "
                "move its center inwards, make it smaller, or lower shift_mm"
            )
    after, used = _brought_in(patch, moved, whole, breast, steps=steps, u=u)
    drawn = {
        "center_mm": np.round(moved.center_mm, 3).tolist(),
        "diameter_mm": round(diameter * scale, 3),
        "seed": int(seed),
        "steps": {key: getattr(steps, key) for key in Steps.__dataclass_fields__},
        **used,
        "rotated_deg": round(draw.rotate_deg, 2),
        "flipped": list(draw.flip),
        "shift_mm": [round(float(s), 3) for s in draw.shift_mm],
        "draws": tries,
        **{"rotate_deg": rotate_deg, "scale": scale, "mirror": mirror},
    }
    return projection_lesion(
        moved.sub_volume,
        after,
        moved.marked,
        kind="from_film",
        title="lesion from an annotated image",
        drawn=drawn,
    )


def _target(
    reference: sitk.Image,
    center_mm: Sequence[float] | None,
    diameter_mm: float | None,
    roi: sitk.Image | None,
) -> tuple[Sequence[float] | np.ndarray, float]:
    """Center and diameter of the lesion to be, given by themselves or as a region."""
    if roi is not None and (center_mm is None or diameter_mm is None):
        region = painted(roi, reference)
        return region.center_mm, region.diameter_mm
    if roi is not None or center_mm is None or diameter_mm is None:
        raise ValueError("give either roi, or center_mm and diameter_mm")
    return center_mm, diameter_mm


def cut_out(image: sitk.Image, mask: sitk.Image) -> LesionPatch:
    """The square of PATCH diameters around the lesion; beyond the projection image its nearest pixel.

    Raises:
        ValueError: the mask is empty.
    """
    on_grid = resample_mask(mask, image)
    check_same_geometry(on_grid, image)
    values = sitk.GetArrayFromImage(image)[0].astype(np.float64)
    marked = sitk.GetArrayFromImage(on_grid)[0] > 0
    if not marked.any():
        raise ValueError("the mask marks no pixel of its image")
    step = float(image.GetSpacing()[0])
    diameter = equivalent_diameter_mm(float(marked.sum()) * step**2, 1.0)
    middle = np.argwhere(marked).mean(axis=0)
    half = int(np.ceil(PATCH / 2 * diameter / step))
    at = np.mgrid[-half : half + 1, -half : half + 1] + middle[:, None, None]
    cut = ndimage.map_coordinates(values, at, order=1, mode="nearest")
    inside = ndimage.map_coordinates(marked.astype(np.float64), at, order=1, mode="constant")
    return LesionPatch(cut, inside, step, diameter)


def equalized(values: np.ndarray) -> np.ndarray:
    """Histogram equalization: every value becomes its rank, evenly over (0, 1]; ties share one."""
    ordered = np.sort(values, axis=None)
    return np.searchsorted(ordered, values, side="right") / values.size


def normalized(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Stretched linearly so that the least becomes `low` and the greatest `high`."""
    least, most = float(values.min()), float(values.max())
    if most == least:
        raise ValueError(f"the patch is all {least:g}; there is nothing to take from it")
    return low + (values - least) * (high - low) / (most - least)


def taper(size: int) -> np.ndarray:
    """(size, size): Gaussian, 1 in the middle, 0 on and beyond the circle that the square holds."""
    axis = np.linspace(-1, 1, size)
    square = axis[:, None] ** 2 + axis**2
    edge = np.exp(-1 / (2 * TAPER**2))
    return np.clip((np.exp(-square / (2 * TAPER**2)) - edge) / (1 - edge), 0, 1)


@dataclass(frozen=True)
class _Draw:
    rotate_deg: float
    flip: tuple[bool, bool]
    shift_mm: np.ndarray
    random: bool

    @property
    def matrix(self) -> np.ndarray:
        mirrored = np.diag([-1.0 if flip else 1.0 for flip in self.flip])
        return _rotation(self.rotate_deg) @ mirrored


def _draw(generator: np.random.Generator, steps: Steps) -> _Draw:
    """All three are drawn whether they act or not: switching one off moves no other."""
    angle, flips = generator.uniform(-180, 180), generator.random(2) < 0.5
    shift = generator.uniform(-1, 1, 2) * steps.shift_mm
    return _Draw(
        angle if steps.rotate else 0.0,
        (bool(flips[0]) and steps.flip, bool(flips[1]) and steps.flip),
        shift,
        steps.rotate or steps.flip or steps.shift_mm > 0,
    )


class _MovedPatch:
    """The patch as the reference's pixels see it."""

    def __init__(
        self,
        patch: LesionPatch,
        reference: sitk.Image,
        center_mm: Any,
        *,
        zoom: float,
        matrix: np.ndarray,
        shift: np.ndarray,
    ) -> None:
        direction = np.reshape(reference.GetDirection(), (3, 3))[:, :2]
        self.center_mm = np.asarray(center_mm, dtype=float) + direction @ shift
        half_mm = (len(patch.values) // 2) * patch.step * zoom
        corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * half_mm
        lesion = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]) * patch.diameter * zoom * 0.4
        check_within_image(reference, self.center_mm + lesion @ direction.T, self.center_mm)
        self.sub_volume = SubVolume.around(
            reference, self.center_mm + corners @ direction.T, margin_mm=1.0, detail_mm=10.0
        )
        offset = (self.sub_volume.voxels_mm()[0] - self.center_mm) @ direction
        back = offset @ np.linalg.inv(matrix).T / (patch.step * zoom)
        self._at = np.moveaxis(back[..., ::-1], -1, 0) + len(patch.values) // 2
        # Pixels larger than the source's average them.
        self._blur = 0.5 * np.sqrt(
            max((reference.GetSpacing()[0] / (patch.step * zoom)) ** 2 - 1, 0)
        )
        self.marked = self.sample(patch.mask, outside=0.0)[None] >= 0.5
        if not self.marked.any():
            raise GeometryError("the lesion is smaller than a pixel; make it larger")

    def sample(self, values: np.ndarray, *, outside: float | None = None) -> np.ndarray:
        """`values` (n, n) of the patch on the sub-volume's pixels (h, w)."""
        smooth = ndimage.gaussian_filter(values, self._blur) if self._blur else values
        how = {"mode": "nearest"} if outside is None else {"mode": "constant", "cval": outside}
        return ndimage.map_coordinates(smooth, self._at, order=1, **how)

    def outside_mm(self, breast: np.ndarray) -> float:
        """How far the mask reaches out of the breast (k, j, i); 0 when it does not."""
        sub_volume = self.sub_volume
        beyond = self.marked & ~breast[sub_volume.slices]
        if not beyond.any():
            return 0.0
        away = ndimage.distance_transform_edt(~breast, sampling=sub_volume.spacing_mm[::-1])
        return float(away[sub_volume.slices][beyond].max())


def _brought_in(
    patch: LesionPatch,
    moved: _MovedPatch,
    whole: np.ndarray,
    breast: np.ndarray,
    *,
    steps: Steps,
    u: float,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The sub-volume's pixels with the patch in, and what it was normalized to."""
    before = whole[moved.sub_volume.slices].astype(np.float32)
    inside = breast[moved.sub_volume.slices]
    fade = moved.sample(taper(len(patch.values)), outside=0.0)
    within = moved.sample(np.ones_like(patch.values), outside=0.0) > 0.5
    values, used = patch.values, {}
    if steps.equalize:
        values = equalized(values)
    if steps.normalize is not None:
        seen = whole[breast] if steps.normalize == "breast" else before[inside & (fade > 0)[None]]
        low, high = float(seen.min()), float(np.quantile(seen, u))
        if high <= low:
            raise GeometryError("the reference is even where the lesion goes; choose another place")
        values = normalized(values, low, high)
        used = {"quantile": round(u, 5), "normalized_to": [round(low, 2), round(high, 2)]}
    weight = (fade if steps.taper else within.astype(np.float64)) * inside
    return before + (weight * (moved.sample(values) - before)).astype(np.float32), used


def _rotation(angle_deg: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s], [s, c]])
