"""Where the body is, and the lungs in it; a lesion must not leave them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.errors import GeometryError
from medsynth.lesions.distances import depth_mm, within_mm
from medsynth.lesions.sub_volume import SubVolume

COARSE_MM = 1.5
TABLE_MM = 3.5  # half the thickness below which a sheet (table top, blanket, clothes) is no body
AERATED_HU = -400.0
VESSEL_MM = 5.0  # half the width of what counts as lung although it is denser: vessels, fissures


def body_mask(image: sitk.Image, threshold: float = -500.0) -> sitk.Image:
    """The body, lungs and bowel gas included: uint8 0/1 on the image's grid.

    The largest connected component above `threshold` after thin sheets are removed, with the
    holes of every slice filled.

    Raises:
        GeometryError: there is no body in the image.
    """
    inside = body_array(sitk.GetArrayViewFromImage(image), image.GetSpacing(), threshold)
    result = sitk.GetImageFromArray(inside.astype(np.uint8))
    result.CopyInformation(image)
    return result


def body_array(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """As `body_mask`, for an array (k, j, i) and its spacing (i, j, k)."""
    body = _thick(values, spacing_mm, threshold, sheet_mm=TABLE_MM, kept=_largest)
    if not body.any():
        raise GeometryError(
            f"no body found: no connected region above {threshold:g} is thicker than "
            f"{2 * TABLE_MM:g} mm; is the image in the preset's units?"
        )
    return body


def thick_array(
    values: np.ndarray,
    spacing_mm: tuple[float, float, float],
    threshold: float,
    *,
    sheet_mm: float,
) -> np.ndarray:
    """Every part that is thicker than twice `sheet_mm`: arms beside the body, say; holes filled."""
    return _thick(values, spacing_mm, threshold, sheet_mm=sheet_mm, kept=lambda core: core)


def _thick(
    values: np.ndarray,
    spacing_mm: tuple[float, float, float],
    threshold: float,
    *,
    sheet_mm: float,
    kept: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The parts that are `kept` of what is above `threshold` and thicker than a sheet, holes filled."""
    dense = values > threshold
    step = [max(1, round(COARSE_MM / s)) for s in spacing_mm[1::-1]]
    coarse = dense[:, :: step[0], :: step[1]]
    coarse_mm = [s * n for s, n in zip(spacing_mm[1::-1], step, strict=True)]
    disc = _disc(sheet_mm, coarse_mm)
    core = kept(ndimage.binary_opening(coarse, disc))
    # Opening rounds off corners; grow back, but only into what is dense.
    body = coarse & ndimage.binary_dilation(core, _disc(sheet_mm + 2, coarse_mm))
    body = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    near, sure = (
        ndimage.binary_dilation(body, _CROSS),
        ndimage.binary_erosion(body, _CROSS, border_value=1),
    )
    fine = [np.repeat(np.repeat(m, step[0], 1), step[1], 2) for m in (near, sure)]
    near, sure = (m[:, : values.shape[1], : values.shape[2]] for m in fine)
    return (dense & near) | sure


_CROSS = ndimage.generate_binary_structure(2, 1)[None]


def _disc(radius_mm: float, spacing_mm: list[float]) -> np.ndarray:
    """(1, n, m) boolean disc; in-plane only, so that slices of any thickness work."""
    reach = [int(radius_mm / s) for s in spacing_mm]
    row, column = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return ((row * spacing_mm[0]) ** 2 + (column * spacing_mm[1]) ** 2 <= radius_mm**2)[None]


def _largest(mask: np.ndarray) -> np.ndarray:
    label, count = ndimage.label(mask)
    if count == 0:
        return mask
    return label == 1 + np.argmax(np.bincount(label.ravel())[1:])


def lung_array(
    values: np.ndarray, body: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Aerated lung with its vessels: what is air-like within the body, closed by a few mm."""
    spacing = spacing_mm[::-1]
    aerated = body & (values < AERATED_HU)
    if not aerated.any():
        return aerated
    # Beyond the sub-volume's edge lung goes on as it is at the edge: that is no border.
    reached = within_mm(aerated, VESSEL_MM, spacing)
    return body & ((depth_mm(reached, spacing) > VESSEL_MM) | aerated)


def lung_of_slices(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """As `lung_array`, of whole slices (k, j, i)."""
    return lung_array(values, body_array(values, spacing_mm, threshold), spacing_mm)


def check_within_body(
    lesion: np.ndarray, body: np.ndarray, sub_volume: SubVolume, *, place: str = "body"
) -> None:
    """Raises GeometryError when voxels of `lesion` lie outside `body`.

    Args:
        lesion: boolean, the sub-volume's shape.
        body: boolean, whole slices of the sub-volume's k range.
        place: what `body` is called.
    """
    outside = lesion & ~body[(slice(None), *sub_volume.slices[1:])]
    if not outside.any():
        return
    spacing = sub_volume.spacing_mm[::-1]
    if not body.any():
        raise GeometryError(f"the lesion lies in slices in which there is no {place}")
    distance = ndimage.distance_transform_edt(~body, sampling=spacing)
    distance = np.where(outside, distance[(slice(None), *sub_volume.slices[1:])], 0)
    raise GeometryError(
        f"the lesion would leave the {place} by {distance.max():.1f} mm; move its center inwards or "
        "make it smaller"
    )
