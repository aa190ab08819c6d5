"""A finding at a place: an opacity is drawn into the lung that is found in a finished radiograph.

Position words of a small text-to-image model do not steer. So the place is made by drawing: the opacity
is put where the word says, the image is noised a little, and the model denoises it again, which makes the
drawing part of the radiograph. Sides are the patient's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth import domains
from medsynth.datasets.captions import ROWS
from medsynth.datasets.opacity import FIELDS
from medsynth.errors import GeometryError
from medsynth.lesions.drawn import procedural
from medsynth.lesions.places.radiograph import left_lung_field, right_lung_field

PRESET, KIND = "chest_xray", "opacity"
# Findings that an opacity stands for; others have places too, but are not drawn.
OPAQUE = ("atelectasis", "consolidation", "covid-19", "edema", "infiltration", "pneumonia")
DIAMETER = 60 / 256  # of the image's width
CONTRAST = 60.0  # gray values; nine of ten boxes of pneumonia add less
LEAST_SHARE = 0.1  # of a lung: less of it in the asked third of the image is no place
PIXEL_MM = (1.0, 1.0, 1.0)  # the finder of lung fields works in shares of the image


@dataclass(frozen=True)
class DrawnFinding:
    """What was drawn: the word, the middle (column, row) and the diameter in pixels."""

    position: str
    center: tuple[int, int]
    diameter: float


def drawable(preset: str, words: Sequence[str]) -> tuple[str, ...]:
    """The position words among `words` that can be drawn: a side of a chest radiograph, of an opaque finding."""
    if preset != PRESET or not set(words) & set(OPAQUE):
        return ()
    return tuple(word for word in words if word in FIELDS)


def seed_of(seed: int, index: int) -> int:
    """The seed of what is drawn in image `index`."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])


def draw(
    radiograph: np.ndarray, positions: Sequence[str], *, seed: int
) -> tuple[np.ndarray, tuple[DrawnFinding, ...]]:
    """An opacity at each of `positions` of a radiograph (H, W) in gray values from 0 to 255.

    Returns:
        The radiograph, float32, and what was drawn. A place where no opacity fits is left out.
    """
    preset, found = domains.get(PRESET), []
    values = radiograph.astype(np.float32)
    diameter = DIAMETER * radiograph.shape[1]
    for number, position in enumerate(positions):
        try:
            column, row = middle(radiograph, position)
            lesion = procedural(
                KIND,
                reference=sitk.GetImageFromArray(values[None]),
                center_mm=(float(column), float(row), 0.0),
                diameter_mm=diameter,
                seed=seed + number,
                preset=preset,
                contrast=CONTRAST,
            )
        except GeometryError:
            continue
        values = sitk.GetArrayFromImage(lesion.image)[0].astype(np.float32)
        found.append(DrawnFinding(position, (column, row), round(diameter, 1)))
    return values, tuple(found)


def middle(radiograph: np.ndarray, position: str) -> tuple[int, int]:
    """Column and row of the middle of the asked third of a lung, for one of `FIELDS`.

    A third of the image, as captions mean it; where the lung hardly reaches it, of the lung.

    Raises:
        GeometryError: there is no lung.
    """
    row, side = position.split()
    finder = left_lung_field if side == "left" else right_lung_field
    threshold = domains.get(PRESET).body_threshold
    lung = finder(radiograph[None].astype(np.float32), PIXEL_MM, threshold)[0]
    if not lung.any():
        raise GeometryError(f"no {side} lung is found in the radiograph")
    rows, third = np.arange(len(lung))[:, None], ROWS.index(row)
    part = lung & (3 * rows // len(lung) == third)
    if part.sum() < LEAST_SHARE * lung.sum():
        inside = np.flatnonzero(lung.any(axis=1))
        top, height = inside[0], inside[-1] + 1 - inside[0]
        part = lung & (3 * (rows - top) // height == third)
    # As far as can be from the field's border, and rather from the lung's.
    depth = ndimage.distance_transform_edt(part) + 0.2 * part * ndimage.distance_transform_edt(lung)
    down, across = np.unravel_index(int(np.argmax(depth)), lung.shape)
    return int(across), int(down)


def record(found: Sequence[DrawnFinding]) -> list[dict[str, object]]:
    """For the image's record."""
    return [asdict(finding) for finding in found]
