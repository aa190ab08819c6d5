"""What a layout is, and what all of them share: classes, label maps, who belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.factory.store import Annotation, DataSet, SetItem

Entry = dict[str, Any]
# A label map of 8 bits: background and these.
MOST_CLASSES = 255


class Layout(Protocol):
    """One way to lay out a data set; it may also be `Readable`.

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


@dataclass(frozen=True, eq=False)
class ReadBack:
    """An image of a layout in physical units, and its masks, each with the name of its class.

    `merged`: the masks come from one label map, a mask for a class, in which lesions that touch are one.
    """

    image: sitk.Image
    masks: tuple[tuple[str, sitk.Image], ...]
    merged: bool = True


@runtime_checkable
class Readable(Protocol):
    """A layout that holds the values of its images, so that a set can be made of it again."""

    def read(self, entry: Entry, folder: Path, classes: Sequence[str]) -> ReadBack:
        """The image of `entry`; `classes` by number, from 1."""


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
            "license": item.row.anatomy.get("license"),
            "record": _kept(item.record),
        }


def _kept(record: Mapping[str, Any]) -> Entry:
    """What goes out of an image's record with it; the rest may name files of whoever made the set."""
    lesions = []
    for lesion in record["lesions"]:
        drawn = lesion.get("drawn", {})
        own = {
            k: v for k, v in drawn.items() if k == "kind" or not isinstance(v, (str, dict, list))
        }
        lesions.append({**lesion, "drawn": own})
    return {
        "slices": record["slices"],
        "checkpoint": record.get("checkpoint"),
        "lesions": lesions,
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


def of_label_map(image: sitk.Image, labels: sitk.Image, classes: Sequence[str]) -> ReadBack:
    """A mask for each class that the map has."""
    there = np.unique(sitk.GetArrayViewFromImage(labels))
    masks = tuple((classes[n - 1], labels == int(n)) for n in there.tolist() if n)
    return ReadBack(image, masks)
