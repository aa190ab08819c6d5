"""What is known of one image before its pixels are read: where it lies, whose it is, what is on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TRAINING, HELD_OUT = "training", "held_out"


@dataclass(frozen=True)
class Box:
    """A rectangle around a finding, in pixels of the file: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ""


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed contour: `points` (N, 2) of x (column) and y (row), in pixels of the file.

    `inside` False cuts a hole. `slice_uid` is the SOPInstanceUID of the slice of a volume, "" for a
    projection image. `finding` is the same for all outlines of one lesion, `reader` says who drew it. With
    `open_edge` the pixels that the line runs through are not part of what it encloses.
    """

    points: np.ndarray
    label: str = ""
    inside: bool = True
    slice_uid: str = ""
    finding: str = ""
    reader: str = ""
    open_edge: bool = False


@dataclass(frozen=True, eq=False)
class DataEntry:
    """One image: a file, or a folder with the slices of a DICOM series.

    `name` is the path below the data's root, with "/". `part` is the side of the split that the set
    itself names (`TRAINING`, `HELD_OUT` or ""). `patient_known` False: the set does not say whose
    image it is, and `patient` is the file's own name. `size` is (columns, rows), which boxes and
    outlines refer to, where the set says it. `view` and `laterality` are DICOM's words (MLO, CC, PA,
    AP; L, R). `details` are other columns of the set, as text.
    """

    path: Path
    patient: str
    name: str
    part: str = ""
    patient_known: bool = True
    labels: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    outlines: tuple[Outline, ...] = ()
    masks: tuple[Path, ...] = ()
    view: str = ""
    laterality: str = ""
    pixel_mm: float | None = None
    size: tuple[int, int] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
