"""Where a lesion may be in a picture of gray values: the body of a film, the skull's inside of a head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from medsynth.errors import GeometryError
from medsynth.lesions.body import body_array

BONE = 225.0  # bone is white in a brain window, blood mostly is not
CLOSING = 0.03  # of the head's width: what is closed of gaps in the skull (sutures, thin bone)
WALL = 0.05  # of the head's width: scalp and skull, where they cannot be told from the brain
LEAST_CAVITY = 0.3  # of the head's area; less than that and the skull was not closed


def exposed_body(values: np.ndarray, spacing_mm: tuple[float, ...], threshold: float) -> np.ndarray:
    """What is exposed of the patient in a radiograph, dark lungs included: boolean (k, j, i)."""
    return body_array(values, spacing_mm, threshold)


def inside_skull_ct(
    values: np.ndarray, spacing_mm: tuple[float, ...], threshold: float
) -> np.ndarray:
    """The inside of the white ring of bone in each slice (k, j, i); where it is open, as in MR."""
    head = body_array(values, spacing_mm, threshold)
    return np.stack([_within_bone(v, h) for v, h in zip(values, head, strict=True)])


def inside_skull_mr(
    values: np.ndarray, spacing_mm: tuple[float, ...], threshold: float
) -> np.ndarray:
    """The head without its outer `WALL` in each slice (k, j, i): in MR bone and air are both black."""
    head = body_array(values, spacing_mm, threshold)
    return np.stack([_without_wall(plane) for plane in head])


# By the family of a kind: what it must not leave, and what that is called.
REGIONS: dict[str, tuple[Callable[..., np.ndarray], str]] = {
    "chest_xray": (exposed_body, "body"),
    "brain_mri": (inside_skull_mr, "skull"),
    "brain_ct": (inside_skull_ct, "skull"),
}


def region_of(
    family: str, values: np.ndarray, spacing_mm: tuple[float, ...], threshold: float
) -> tuple[np.ndarray, str]:
    """Where a lesion of `family` may be in slices (k, j, i), and the name of that place.

    Raises:
        GeometryError: there is none.
    """
    find, name = REGIONS[family]
    region = find(values, spacing_mm, threshold)
    if not region.any():
        raise GeometryError(f"no {name} found in the slices of the lesion")
    return region, name


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
