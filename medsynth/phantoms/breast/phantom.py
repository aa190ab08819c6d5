"""The breast phantom: a mammogram drawn from B-spline curves, in gray values of 8 bits.

Gray values are those of digitized mammograms (mini-MIAS: fat about 140, dense tissue 180 to 215, muscle
190 to 225, the rim fading to black over the last 20 mm): of a mammogram, brightness follows the logarithm
of the exposure, so attenuations along the ray add up in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw
from scipy import ndimage

from medsynth.phantoms.breast.parenchyma import power_law, strands
from medsynth.phantoms.breast.shape import HEIGHT_MM, BreastShape, breast_shape_of
from medsynth.phantoms.render import RenderedPhantom
from medsynth.phantoms.splines import closed_basis, open_basis

LABELS = {"air": 0, "fat": 1, "glandular": 2, "muscle": 3, "skin": 4, "nipple": 5}
PIXEL_MM = 0.25
WIDEST = 512
PAD_MM = 40.0  # the breast goes on beyond the mammogram; so must the distance to its skin
MARGIN_MM = 5.0  # of air in front of the nipple, as mammograms are cut
SKIN_MM = 1.6
ROUNDING_MM = (19.0, 27.0)  # over which the compressed breast rounds off towards its edge
NIPPLE_RADIUS_MM = 3.6
BLACK = 3.0


def breast(
    *,
    seed: int | None = None,
    view: str | None = None,
    laterality: str | None = None,
    density: str | None = None,
    nipple_mm: float | None = None,
    glandular: float | None = None,
    control_points: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RenderedPhantom:
    """A rendered breast phantom, one mammogram of 0.25 mm pixels.

    Args:
        control_points: a file of `save_control_points` to draw instead of a random breast; then
            none of the others may be given.
        progress: called with (done, total).

    The other arguments are those of `breast_shape`; view defaults to MLO, laterality to L.
    """
    person = {
        "seed": seed,
        "view": view,
        "laterality": laterality,
        "density": density,
        "nipple_mm": nipple_mm,
        "glandular": glandular,
    }
    shape = breast_shape_of(control_points=control_points, **person)
    drawn = render_breast(shape)
    if progress is not None:
        progress(1, 1)
    return drawn


def render_breast(shape: BreastShape) -> RenderedPhantom:
    """Gray values and labels of `shape`; the mammogram is as wide as the breast.

    Raises:
        ValueError: the curves enclose nothing, or leave the mammogram.
    """
    canvas = _Canvas(shape)
    values, labels = _paint(shape, canvas)
    if shape.laterality == "R":
        values, labels = values[:, ::-1], labels[:, ::-1]
    return RenderedPhantom(_single_slice(values), _single_slice(labels), dict(LABELS), shape)


class _Canvas:
    """The mammogram's pixels and their distances (mm, positive inside) from the curves, (H, W)."""

    def __init__(self, shape: BreastShape) -> None:
        skin = open_basis(len(shape.outline), 600) @ shape.outline
        reach = max(skin[:, 0].max(), shape.nipple_mm[0] + NIPPLE_RADIUS_MM) + MARGIN_MM
        # Even, so that it is centerd on the preset's grid without half a pixel's shift.
        columns = 2 * int(np.ceil(reach / PIXEL_MM / 2))
        if columns > WIDEST:
            raise ValueError(
                f"the breast is {reach:.0f} mm wide, at most {WIDEST * PIXEL_MM:g} mm fit the image"
            )
        self.size = (round(HEIGHT_MM / PIXEL_MM), columns)
        self.y, self.x = (np.indices(self.size, dtype=np.float32) + 0.5) * PIXEL_MM
        beyond = [(-PAD_MM, skin[-1, 1]), (-PAD_MM, skin[0, 1])]
        whole = self._inside([*skin, *beyond])
        self.nipple = NIPPLE_RADIUS_MM - np.hypot(
            self.x - shape.nipple_mm[0] + 1.5, self.y - shape.nipple_mm[1]
        )
        self.skin = self._distance(whole)
        if (self.skin > 10).sum() < 1000:
            raise ValueError("the outline encloses no breast; check its control points")
        self.gland = self._distance(self._inside(closed_basis(len(shape.gland), 400) @ shape.gland))
        self.muscle = np.full(self.size, -np.inf, dtype=np.float32)
        if shape.pectoral is not None:
            edge = open_basis(len(shape.pectoral), 200) @ shape.pectoral
            corner = [(-PAD_MM, edge[-1, 1]), (-PAD_MM, edge[0, 1])]
            self.muscle = self._distance(self._inside([*edge, *corner]))

    def _inside(self, polygon) -> np.ndarray:
        """The polygon (mm) on the mammogram and PAD_MM around it."""
        pad = round(PAD_MM / PIXEL_MM)
        rows, columns = (n + 2 * pad for n in self.size)
        picture = Image.new("1", (columns, rows))
        points = [tuple(np.array(p) / PIXEL_MM + pad - 0.5) for p in polygon]
        ImageDraw.Draw(picture).polygon(points, fill=1)
        return np.array(picture, dtype=bool)

    def _distance(self, inside: np.ndarray) -> np.ndarray:
        pad = round(PAD_MM / PIXEL_MM)
        signed = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
        mammogram = signed[pad : pad + self.size[0], pad : pad + self.size[1]]
        return (mammogram * PIXEL_MM).astype(np.float32)


def _paint(shape: BreastShape, canvas: _Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Gray values and labels (H, W) of a left breast."""
    generator = np.random.default_rng([shape.seed, 43])
    look = generator.uniform(0, 1, 6)
    coarse, fine, wander, flesh, grain = (
        power_law(canvas.size, generator, pixel_mm=PIXEL_MM, longest_mm=longest)
        for longest in (55.0, 30.0, 40.0, 30.0, 12.0)
    )
    rounding = ROUNDING_MM[0] + look[0] * (ROUNDING_MM[1] - ROUNDING_MM[0])
    inward = np.clip(canvas.skin / rounding, 0, 1)
    thickness = np.sqrt(1 - (1 - inward) ** 2)
    muscle = _soft(canvas.muscle, 1.5)
    lines = strands(canvas.x, canvas.y, shape.nipple_mm, generator, wander=wander)
    dense, marked = _glandular(shape, canvas, coarse, lines)
    dense *= 1 - muscle
    fat, gland = 128 + 18 * look[1], 50 + 14 * look[2]
    tissue = fat + gland * dense + (4 + 9 * dense) * fine + 5 * coarse + 1.5 * grain
    tissue += lines * (22 + 14 * look[3]) * (1 - 0.5 * dense) * (1 - muscle)
    values = thickness**1.25 * tissue
    depth = np.clip(canvas.muscle / 28, 0, 1)
    meat = (182 + 14 * look[4]) + 26 * depth + 3 * flesh
    values = values * (1 - muscle) + thickness**0.5 * np.maximum(meat, values) * muscle
    rim = np.exp(-(((canvas.skin - SKIN_MM / 2) / (SKIN_MM / 2)) ** 2))
    values += (14 + 8 * look[5]) * rim
    values = np.where(canvas.skin > 0, values, 0) * _soft(canvas.skin, 0.6)
    values = np.maximum(values, (34 + 60 * thickness) * _soft(canvas.nipple, 1.6))
    values = BLACK + _shoulder(values) + generator.normal(0, 0.6, canvas.size)
    inside = (canvas.skin > 0) | (canvas.nipple > 0)
    values = np.where(inside, values, BLACK * (canvas.skin > -1))
    labels = np.where(inside, LABELS["fat"], LABELS["air"])
    labels[marked] = LABELS["glandular"]
    labels[inside & (canvas.muscle > 0)] = LABELS["muscle"]
    labels[(canvas.skin > 0) & (canvas.skin < SKIN_MM)] = LABELS["skin"]
    labels[canvas.nipple > 0] = LABELS["nipple"]
    return np.rint(values).clip(0, 255).astype(np.float32), labels.astype(np.uint8)


def _glandular(
    shape: BreastShape, canvas: _Canvas, field: np.ndarray, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How dense the tissue is, 0 to 1, and where it counts as dense.

    The threshold makes exactly the share `shape.glandular` of the breast (muscle aside) dense.
    """
    # Under the skin there is a layer of fat, which only behind the nipple is thin.
    behind = np.exp(
        -((np.hypot(canvas.x - shape.nipple_mm[0], canvas.y - shape.nipple_mm[1]) / 22) ** 2)
    )
    cover = np.clip(1 - canvas.skin / (9 - 6 * behind), 0, 1)
    field = ndimage.gaussian_filter(field, 0.7 / PIXEL_MM)
    score = 1.1 * np.clip(canvas.gland / 16, -3, 1) + 0.55 * field + 0.5 * behind - 3 * cover
    score += 0.35 * (lines - lines.mean())
    breast_itself = (canvas.skin > 0) & (canvas.muscle <= 0)
    level = np.quantile(score[breast_itself], 1 - shape.glandular)
    dense = 1 / (1 + np.exp(-(score - level) / 0.4))
    return dense, (score > level) & breast_itself


def _soft(distance_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """0 outside, 1 inside, rising over `width_mm` centerd on the curve."""
    part = np.clip(distance_mm / width_mm + 0.5, 0, 1)
    return part * part * (3 - 2 * part)


def _shoulder(values: np.ndarray) -> np.ndarray:
    """The mammogram's shoulder: what is brighter than 190 is compressed, 250 is never reached."""
    over = np.maximum(values - 190, 0)
    return np.minimum(values, 190) + 55 * (1 - np.exp(-over / 55))


def _single_slice(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array)[None])
    image.SetSpacing((PIXEL_MM, PIXEL_MM, 1.0))
    return image
