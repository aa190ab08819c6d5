"""A made-up chest for lesion tests: an elliptic cylinder with two lungs, on any grid."""

import numpy as np
import SimpleITK as sitk

BODY_HU, LUNG_HU, AIR_HU, VESSEL_HU = 50.0, -850.0, -1000.0, 45.0
BODY_RADII_MM = (110.0, 80.0)
LUNG_CENTER_MM, LUNG_RADII_MM = 52.0, (40.0, 58.0)
OBLIQUE = (0.96, -0.28, 0.0, 0.28 * 0.8, 0.96 * 0.8, -0.6, 0.28 * 0.6, 0.96 * 0.6, 0.8)


def chest(
    spacing=(1.5, 1.5, 3.0),
    size=(160, 120, 30),
    *,
    direction=(1, 0, 0, 0, 1, 0, 0, 0, 1),
    vessel_radius_mm: float = 0.0,
    table: bool = False,
) -> sitk.Image:
    """The chest's axis is the image's k axis; its middle is at LPS (10, -20, 30) mm.

    A vessel runs along j through the middle of the lung at -x.
    """
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(size, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    hu = np.full(x.shape, AIR_HU, dtype=np.float32)
    hu[(x / BODY_RADII_MM[0]) ** 2 + (y / BODY_RADII_MM[1]) ** 2 < 1] = BODY_HU
    for side in (-1, 1):
        across = (x - side * LUNG_CENTER_MM) / LUNG_RADII_MM[0]
        hu[across**2 + (y / LUNG_RADII_MM[1]) ** 2 < 1] = LUNG_HU
    if vessel_radius_mm:
        near = (x + LUNG_CENTER_MM) ** 2 + z**2 < vessel_radius_mm**2
        hu[near & (hu == LUNG_HU)] = VESSEL_HU
    if table:
        hu[(np.abs(y - 81.5) < 2) & (np.abs(x) < 117)] = -100.0
        hu[(np.abs(np.abs(x) - 115) < 1.6) & (y > 0) & (y < 82)] = -100.0
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    matrix = np.reshape(direction, (3, 3)) * spacing
    image.SetOrigin((np.array([10.0, -20, 30]) - matrix @ ((np.array(size) - 1) / 2)).tolist())
    return image


def place(image: sitk.Image, x: float, y: float, z: float) -> tuple[float, float, float]:
    """LPS mm of a point given along the image's axes from its middle, in mm."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    return tuple((np.array([10.0, -20, 30]) + direction @ (x, y, z)).tolist())


def center_of(mask: sitk.Image) -> np.ndarray:
    index = np.argwhere(sitk.GetArrayViewFromImage(mask)).mean(axis=0)[::-1]
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)
