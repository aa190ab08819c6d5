"""Where a frontal chest radiograph is more opaque than radiographs without a finding, in words.

Boxes are rare. Six fields of the lungs (thirds of the radiograph's height, each side) are compared with
those of normal radiographs: how bright a field is beside the rest of the lungs, and beside its mirror image.
The field that stands out most gives the position word. It is a measurement, not a reading: on the 27
radiographs of the project's data with a box beside the middle, it names a box's field for 13 (chance: 5);
where a score is above 2, for 10 of 17.

Fields are thirds of the image, as boxes and captions mean them; or, with `of_lungs`, thirds of the height of
the lungs that are found, which is what a radiologist's zones are: lungs mostly end at two thirds of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medsynth import domains
from medsynth.datasets.captions import POSITIONS
from medsynth.lesions.places.radiograph import CAN_BE, lung_fields, oval

# Fields in the order of scores. The patient's right is the image's left.
FIELDS = tuple(
    f"{row} {side}" for row in ("upper", "middle", "lower") for side in ("right", "left")
)
MIRRORED = (1, 0, 3, 2, 5, 4)
NORMAL = "no finding"
FEWEST_NORMAL = 20
LUNG_ROWS = (CAN_BE[1] - CAN_BE[3], CAN_BE[1] + CAN_BE[3])  # of an image: where lungs can be
CLEAR = (
    1.5  # a score of a field that is worth a word: about two of three radiographs with a finding
)


@dataclass(frozen=True, eq=False)
class OpacityFields:
    """What normal radiographs look like: mean and deviation (2, 6) of brightness and of asymmetry."""

    mean: np.ndarray
    deviation: np.ndarray
    of_lungs: bool = False

    def scores(self, images: np.ndarray) -> np.ndarray:
        """How much each of `FIELDS` stands out, (N, 6), for images (N, H, W) in any linear gray scale.

        Where fields are `of_lungs`, in gray values from 0 to 255.
        """
        return ((_measured(images, of_lungs=self.of_lungs) - self.mean) / self.deviation).sum(
            axis=1
        )


def fit(normal: np.ndarray, *, of_lungs: bool = False) -> OpacityFields:
    """From radiographs (N, H, W) without a finding; fields of the image, or `of_lungs`.

    Raises:
        ValueError: fewer than 20.
    """
    if len(normal) < FEWEST_NORMAL:
        raise ValueError(
            f"positions are measured against radiographs labeled {NORMAL!r}: got {len(normal)} of them, "
            f"expected at least {FEWEST_NORMAL}; set measured_positions to false"
        )
    found = _measured(normal, of_lungs=of_lungs)
    return OpacityFields(found.mean(axis=0), found.std(axis=0) + 1e-6, of_lungs)


def with_positions(
    images: np.ndarray, words: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    """`words` of images (N, H, W), with a measured position for those with a finding but no position.

    Raises:
        ValueError: too few are normal.
    """
    normal = [NORMAL in said for said in words]
    scores = fit(images[np.flatnonzero(normal)]).scores(images)
    return tuple(
        said
        if healthy or score.max() < CLEAR or set(said) & set(POSITIONS)
        else (*said, FIELDS[int(score.argmax())])
        for said, healthy, score in zip(words, normal, scores, strict=True)
    )


def _measured(images: np.ndarray, *, of_lungs: bool) -> np.ndarray:
    """Brightness beside the rest of the lungs and beside the mirrored field, (N, 2, 6)."""
    of_image = field_masks(images.shape[1:])
    rows = []
    for image in images:
        masks = field_masks(image.shape, lung_rows(image)) if of_lungs else of_image
        inside = image[np.any(masks, axis=0)].astype(np.float32)
        spread = max(float(inside.std()), 1e-6)
        bright = np.array([image[mask].mean(dtype=np.float64) for mask in masks])
        bright = (bright - inside.mean()) / spread
        rows.append([bright, bright - bright[list(MIRRORED)]])
    return np.array(rows)


def lung_rows(image: np.ndarray) -> tuple[float, float]:
    """Where the lungs of a radiograph (H, W) in gray values begin and end, as shares of its height.

    Of both together: the base of one may be hidden by an opacity. Where none is found, where they can be.
    """
    threshold = domains.get("chest_xray").body_threshold
    found = lung_fields(image[None].astype(np.float32), (1.0, 1.0, 1.0), threshold)[0]
    rows = np.flatnonzero(found.any(axis=1))
    if not len(rows):
        return LUNG_ROWS
    return float(rows[0]) / len(image), float(rows[-1] + 1) / len(image)


def field_masks(
    shape: tuple[int, ...], rows: tuple[float, float] | None = None
) -> list[np.ndarray]:
    """The pixels of each of `FIELDS` in an image of this (height, width).

    `rows`: where the lungs begin and end, whose thirds are meant then; None: thirds of the image.
    """
    height, width = shape
    down, across = (axis + 0.5 for axis in np.indices((height, width)))
    down, across = down / height, across / width
    thirds = down
    if rows is not None:
        thirds = (down - rows[0]) / (rows[1] - rows[0])
        down = LUNG_ROWS[0] + thirds * (LUNG_ROWS[1] - LUNG_ROWS[0])
    lungs = oval(np.minimum(across, 1 - across), down, CAN_BE)
    row = np.clip(3 * thirds, 0, 2).astype(int)
    left = across > 0.5
    return [lungs & (row == r) & (left == side) for r in range(3) for side in (False, True)]
