"""The lungs of a chest CT without airways and large vessels at their root; roughly by side and height."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth.lesions.body import lung_of_slices
from medsynth.lesions.distances import box_around, depth_mm
from medsynth.lesions.places.finding import Spacing, found

# Airways and bowel hold nothing but air. Emphysema comes near it, so that the border follows the lung's
# own density, and a large area is lung however dark it is.
AIR_HU, TOWARDS_LUNG = -1000.0, 0.45
MOST_AIRWAY_MM2 = 1500.0
SMOOTHED_MM = 1.2
AIRWAY_MM = 2.5
VESSEL_HU = -500.0
VESSEL_MM = 1.5
PLEURA_MM = 3.0  # at the border of the lung partial volume looks like a vessel
LEAST_PART = 0.15  # of the largest part: smaller ones are gas elsewhere


def lung(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """Both lungs, without what holds nothing but air; nowhere, where there is no body."""
    region = found(lung_of_slices, values, spacing_mm, threshold)
    if not region.any():
        return region
    smooth = _smoothed(values, spacing_mm)
    border = AIR_HU + TOWARDS_LUNG * (float(np.median(smooth[region])) - AIR_HU)
    disc = _disc(AIRWAY_MM, spacing_mm)
    # Opening and dilation look no further than twice the disc beyond the lung.
    box = box_around(region, [0, *(n - 1 for n in disc.shape[1:])])
    within = region[box]
    air = within & ndimage.binary_opening(smooth[box] < border, disc)
    airways = _of_area(air, spacing_mm, most_mm2=MOST_AIRWAY_MM2)
    within &= ~ndimage.binary_dilation(airways, disc)
    return _large_parts(region)


def left_lung(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The lung on the patient's left, which is the image's right."""
    return _side(lung(values, spacing_mm, threshold), left=True)


def right_lung(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """The lung on the patient's right."""
    return _side(lung(values, spacing_mm, threshold), left=False)


def upper_lung(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """About the upper lobes: of each lung the upper half, and in front of it a part of the lower."""
    return _lobe(lung(values, spacing_mm, threshold), upper=True)


def lower_lung(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """About the lower lobes: of each lung the lower half, and behind it a part of the upper."""
    return _lobe(lung(values, spacing_mm, threshold), upper=False)


def vessels(values: np.ndarray, spacing_mm: Spacing, threshold: float) -> np.ndarray:
    """Vessels in the lung of at least 3 mm."""
    region = found(lung_of_slices, values, spacing_mm, threshold)
    dense = region & (values > VESSEL_HU) & (depth_mm(region, spacing_mm[::-1]) > PLEURA_MM)
    return ndimage.binary_opening(dense, _disc(VESSEL_MM, spacing_mm))


def _smoothed(values: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    sigma = (0.0, SMOOTHED_MM / spacing_mm[1], SMOOTHED_MM / spacing_mm[0])
    return ndimage.gaussian_filter(values.astype(np.float32), sigma)


def _disc(radius_mm: float, spacing_mm: Spacing) -> np.ndarray:
    reach = [max(1, int(radius_mm / s)) for s in spacing_mm[1::-1]]
    row, column = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    disc = (row / (reach[0] + 0.5)) ** 2 + (column / (reach[1] + 0.5)) ** 2 <= 1
    return disc[None]


def _of_area(mask: np.ndarray, spacing_mm: Spacing, *, most_mm2: float) -> np.ndarray:
    """The pieces of each slice that are no larger."""
    pixel = spacing_mm[0] * spacing_mm[1]
    kept = np.zeros_like(mask)
    for k, plane in enumerate(mask):
        label, _ = ndimage.label(plane)
        sizes = np.bincount(label.ravel()) * pixel
        sizes[0] = np.inf
        kept[k] = (sizes <= most_mm2)[label]
    return kept


def _large_parts(region: np.ndarray) -> np.ndarray:
    label, count = ndimage.label(region)
    if count == 0:
        return region
    sizes = np.bincount(label.ravel())
    sizes[0] = 0
    return (sizes >= LEAST_PART * sizes.max())[label]


def _side(region: np.ndarray, *, left: bool) -> np.ndarray:
    """The part on one side of the middle between the lungs; columns run to the patient's left."""
    columns = np.flatnonzero(region.any(axis=(0, 1)))
    if not len(columns):
        return region
    middle = (columns[0] + columns[-1]) // 2
    kept = np.zeros_like(region)
    part = slice(middle, None) if left else slice(None, middle)
    kept[:, :, part] = region[:, :, part]
    return kept


def _lobe(region: np.ndarray, *, upper: bool) -> np.ndarray:
    """One side of a plane that falls from behind above to in front below, as the oblique fissure does.

    In one slice nothing says its height: what lies in front counts as upper.
    """
    k, j = (np.flatnonzero(region.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    if not len(k):
        return region
    back = (np.arange(region.shape[1]) - j[0]) / max(1, j[-1] - j[0])
    height = np.full(region.shape[0], 0.5)
    if k[-1] > k[0]:
        height = (np.arange(region.shape[0]) - k[0]) / (k[-1] - k[0])
    above = height[:, None] + 0.5 - back[None] >= 0.5
    return region & (above if upper else ~above)[:, :, None]
