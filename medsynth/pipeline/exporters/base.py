"""What every exporter is given, and what it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.images import write_image
from medsynth.marking import header_fields
from medsynth.pipeline.plan import Prepared
from medsynth.records.result import Checkpoint, Result
from medsynth.request import Request


@dataclass(frozen=True, eq=False)
class ExportInputs:
    """What is to be written: `volume` is the synthetic image (k, j, i) in physical units.

    `result` is what result.json will say: for exporters that show it, None for the others.
    """

    request: Request
    prepared: Prepared
    volume: np.ndarray
    preset: Preset
    checkpoint: Checkpoint | None
    result: Result | None = None

    @cached_property
    def image(self) -> sitk.Image:
        """The result on the reference's grid; int16 where every value is a whole number that fits."""
        volume = self.volume
        info = np.iinfo(np.int16)
        whole = all(
            info.min <= plane.min()
            and plane.max() <= info.max
            and np.array_equal(plane, np.rint(plane))
            for plane in volume
        )
        image = sitk.GetImageFromArray(volume.astype(np.int16) if whole else volume)
        image.CopyInformation(self.prepared.reference.image)
        for key, text in header_fields(".nrrd").items():
            image.SetMetaData(key, text)
        return image

    @property
    def masks(self) -> tuple[sitk.Image, ...]:
        """The masks of the new lesions, on the grid of the image."""
        return tuple(region.lesion.mask for region in self.prepared.regions)


@dataclass(frozen=True)
class Exported:
    """What an exporter adds to result.json."""

    dicom: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exporter:
    """The declaration of an exporter: `EXPORTER = Exporter(...)` at the end of its file.

    Everything but `write` must be literal: it is read without running the file.

    Attributes:
        title: for people.
        write: given the inputs and the folder to write in.
        files: what it leaves in the folder, as patterns of names.
        name: as a request says it; that of the file unless it is given.
        rank: its place in lists, and when it is its turn.
        default: a request that says nothing about exporters gets it.
        shows_result: it shows `ExportInputs.result`, and so comes after those that add to it.
        mask_suffix: of the files `pathology_01...` and `label_01...`, if it writes them.
        bytes_per_voxel: what it takes on the disk, for the estimate.
    """

    title: str
    write: Callable[[ExportInputs, Path], Exported | None]
    files: tuple[str, ...]
    name: str = ""
    rank: int = 100
    default: bool = False
    shows_result: bool = False
    mask_suffix: str | None = None
    bytes_per_voxel: int = 0


def mask_name(index: int, suffix: str = ".nrrd") -> str:
    """The file of the mask of pathology `index` (from 0)."""
    return f"pathology_{index + 1:02d}{suffix}"


def label_name(index: int, suffix: str = ".nrrd") -> str:
    """The file of label `index` (from 0) of those that the reference already had."""
    return f"label_{index + 1:02d}{suffix}"


def write_volumes(inputs: ExportInputs, folder: Path, *, suffix: str) -> None:
    """The image, the masks of the lesions, and the labels that the reference already had."""
    write_image(inputs.image, folder / f"image{suffix}")
    for index, mask in enumerate(inputs.masks):
        write_image(mask, folder / mask_name(index, suffix))
    for index, label in enumerate(inputs.prepared.labels):
        write_image(label.mask, folder / label_name(index, suffix))
