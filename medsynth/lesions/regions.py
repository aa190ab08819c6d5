"""Where a lesion may be in a picture of gray values: the body of a projection image, the skull's inside of a head."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth.domains import OrganFinder
from medsynth.errors import GeometryError
from medsynth.lesions.body import body_array

BONE = 225.0  # bone is white in a brain window, blood mostly is not
CLOSING = 0.03  # of the head's width: what is closed of gaps in the skull (sutures, thin bone)
WALL = 0.05  # of the head's width: scalp and skull, where they cannot be told from the brain
LEAST_CAVITY = 0.3  # of the head's area; less than that and the skull was not closed


def exposed_body(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """What is exposed of the patient in a radiograph, dark lungs included: boolean (k, j, i)."""
    return body_array(values, spacing_mm, threshold)


def inside_skull_ct(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """The inside of the white ring of bone in each slice (k, j, i); where it is open, as in MR."""
    head = body_array(values, spacing_mm, threshold)
    return np.stack([_within_bone(v, h) for v, h in zip(values, head, strict=True)])


def inside_skull_mr(
    values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """The head without its outer `WALL` in each slice (k, j, i): in MR bone and air are both black."""
    head = body_array(values, spacing_mm, threshold)
    return np.stack([_without_wall(plane) for plane in head])


def region_of(
    organ: OrganFinder, values: np.ndarray, spacing_mm: tuple[float, float, float], threshold: float
) -> np.ndarray:
    """Where `organ` is in slices (k, j, i), boolean.

    Raises:
        GeometryError: nowhere.
    """
    region = organ.finder(values, spacing_mm, threshold)
    if not region.any():
        raise GeometryError(f"no {organ.name} found in the slices of the lesion")
    return region


def _width(head: np.ndarray) -> float:
    """Pixels across a disc of the head's area."""
    return 2 * float(np.sqrt(head.sum() / np.pi))


def _within_bone(values: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The largest hole of the largest white structure of one slice (j, i)."""
    bone, count = ndimage.label((values >= BONE) & head)
    if count == 0:
        return _without_wall(head)
    skull = bone == 1 + np.argmax(np.bincount(bone.ravel())[1:])
    reach = max(1, round(CLOSING * _width(head)))
    closed = ndimage.binary_closing(np.pad(skull, reach), iterations=reach)
    closed = closed[reach:-reach, reach:-reach]
    cavity = ndimage.binary_fill_holes(closed) & ~skull
    # Closing fills corners of the cavity: they belong to it, slits outside of the skull do not.
    parts, count = ndimage.label(ndimage.binary_opening(cavity))
    if count == 0:
        return _without_wall(head)
    cavity = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    cavity = ndimage.binary_fill_holes(cavity)
    return cavity if cavity.sum() >= LEAST_CAVITY * head.sum() else _without_wall(head)


def _without_wall(head: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(head) > WALL * _width(head)
