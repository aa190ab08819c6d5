"""What a layout is, and what all of them share: classes, label maps, who belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.factory.store import Annotation, DataSet, SetItem

Entry = dict[str, Any]
# A label map of 8 bits: background and these.
MOST_CLASSES = 255


class Layout(Protocol):
    """One way to lay out a data set.

    `add` writes the files of one image below `folder` and returns what the index says of it, as JSON
    can hold; `close` writes the index, of all entries in the order of the rows. Both may run again
    after a kill, and then write the same bytes.
    """

    @property
    def name(self) -> str:
        """As plans and commands call it."""

    @property
    def title(self) -> str:
        """What it is, for `--help` and the pages."""

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """Write one image; its entry."""

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """Write what stands for the whole set."""


@dataclass(frozen=True)
class LayoutContext:
    """What a layout knows of the whole set.

    `classes` in the order of their numbers, from 1; 0 is background. `groups`: the pseudonym of each
    patient (or drawn person), so that files that go out do not name one.
    """

    name: str
    preset: Preset
    classes: tuple[str, ...]
    license: str
    groups: Mapping[str, str] = field(default_factory=dict)

    def number(self, annotation: Annotation) -> int:
        """The class of `annotation` as a number."""
        return self.classes.index(annotation.class_name) + 1

    def common(self, item: SetItem) -> Entry:
        """What every index says of an image."""
        return {
            "id": item.id,
            "split": item.row.split,
            "group": self.groups[item.row.patient],
            "seed": item.row.seed,
            "digest": item.digest,
        }


def context_of(dataset: DataSet, *, license: str) -> LayoutContext:
    """Reads every row and record once; pixels are not touched."""
    lesions: set[str] = set()
    existing: set[str] = set()
    groups: dict[str, str] = {}
    for row in dataset.rows():
        groups.setdefault(row.patient, f"g{len(groups) + 1:05d}")
    for item in dataset.items():
        for annotation in item.annotations:
            (existing if annotation.existing else lesions).add(annotation.class_name)
    classes = (*sorted(lesions), *sorted(existing))
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{dataset.folder} has {len(classes)} classes, at most {MOST_CLASSES} fit")
    return LayoutContext(dataset.name, dataset.preset, classes, license, groups)


def label_map(item: SetItem, context: LayoutContext) -> tuple[np.ndarray, int]:
    """One number a voxel (k, j, i), and how many voxels had two: there the new lesion counts.

    Of two new lesions the later one.
    """
    labels: np.ndarray | None = None
    twice = 0
    for annotation in sorted(item.annotations, key=lambda annotation: not annotation.existing):
        voxels = annotation.voxels()
        if labels is None:
            labels = np.zeros(voxels.shape, np.uint8)
        twice += int((labels[voxels] != 0).sum())
        labels[voxels] = context.number(annotation)
    if labels is None:
        size = item.image().GetSize()
        labels = np.zeros(size[::-1], np.uint8)
    return labels, twice


def label_image(item: SetItem, context: LayoutContext) -> tuple[sitk.Image, int]:
    """`label_map` on the grid of the image."""
    voxels, twice = label_map(item, context)
    image = sitk.GetImageFromArray(voxels)
    image.CopyInformation(item.image())
    return image, twice
