"""COCO instances: 8-bit PNG, and one JSON a split with masks as run lengths, right to the pixel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import SimpleITK as sitk

from medsynth.factory.layouts.base import Entry, LayoutContext
from medsynth.factory.layouts.pictures import pixel_size, save_png, slices_of
from medsynth.factory.store import SPLITS, SetItem
from medsynth.marking import TEXT
from medsynth.storage.files import new_file


@dataclass(frozen=True)
class Coco:
    """images/ID.png in the domain's first window, annotations/instances_SPLIT.json.

    One annotation for each mask and slice; they may overlap. Categories of existing labels have the
    supercategory `existing`, new lesions `synthetic lesion`.
    """

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """Every synthesized slice as a picture, and the annotations on it."""
        image = item.image()
        values = sitk.GetArrayViewFromImage(image)
        masks = [
            (context.number(annotation), annotation.voxels()) for annotation in item.annotations
        ]
        window = context.preset.windows[0]
        pictures, annotations = [], []
        for k, stem in slices_of(item):
            name = f"images/{stem}.png"
            save_png(window.to_8_bit(values[k]), folder / name)
            number = int(item.id) * 100_000 + k + 1
            pictures.append(
                {"id": number, "file_name": f"{stem}.png", "license": 1}
                | {"height": values.shape[1], "width": values.shape[2], "slice": k}
                | {"window_center": window.center, "window_width": window.width}
                | pixel_size(image)
            )
            for category, mask in masks:
                if mask[k].any():
                    annotations.append(
                        shape_of(mask[k]) | {"image_id": number, "category_id": category}
                    )
        files = [f"images/{picture['file_name']}" for picture in pictures]
        return {"pictures": pictures, "annotations": annotations, "files": files}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """annotations/instances_SPLIT.json, written as they are read."""
        (folder / "annotations").mkdir(exist_ok=True)
        for split in SPLITS:
            path = folder / "annotations" / f"instances_{split}.json"
            with (
                new_file(path, overwrite=True) as partial,
                open(partial, "w", encoding="utf-8") as file,
            ):
                _write(file, _OfSplit(entries, split), context)


@dataclass(frozen=True)
class _OfSplit:
    """The entries of one split, as often as they are asked for."""

    entries: Iterable[Entry]
    split: str

    def __iter__(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry["split"] == self.split)


def shape_of(mask: np.ndarray) -> Entry:
    """Segmentation, area and box (x, y, width, height) of a mask (rows, columns)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"counts": run_lengths(mask), "size": [int(n) for n in mask.shape]},
        "area": int(mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "iscrowd": 0,
    }


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of 0, 1, 0 ... column by column, as COCO counts them; the first is of 0."""
    flat = np.concatenate(([0], mask.astype(np.int8).ravel(order="F"), [2]))
    ends = np.flatnonzero(np.diff(flat))
    return [int(n) for n in np.diff(ends, prepend=0)]


def _write(file: TextIO, entries: Iterable[Entry], context: LayoutContext) -> None:
    """One JSON object; each picture and each annotation is a line of it."""
    head = {
        "info": {
            "description": f"{TEXT} {context.name}: {context.preset.title}.",
            "version": "1.0",
            "contributor": "medsynth",
        },
        "licenses": [{"id": 1, "name": context.license, "url": ""}],
        "categories": [
            {"id": i, "name": name, "supercategory": _above(name)}
            for i, name in enumerate(context.classes, start=1)
        ],
    }
    file.write(json.dumps(head, ensure_ascii=False)[:-1])
    _write_list(file, "images", (each for entry in entries for each in entry["pictures"]))
    annotations = (each for entry in entries for each in entry["annotations"])
    numbered = ({"id": n} | each for n, each in enumerate(annotations, start=1))
    _write_list(file, "annotations", numbered)
    file.write("\n}\n")


def _write_list(file: TextIO, key: str, values: Iterable[Entry]) -> None:
    file.write(f',\n"{key}": [')
    for index, value in enumerate(values):
        file.write(("," if index else "") + "\n" + json.dumps(value, ensure_ascii=False))
    file.write("]")


def _above(class_name: str) -> str:
    return "existing" if class_name.startswith("existing_") else "synthetic lesion"


LAYOUT = Coco(name="coco", title="COCO instances (RLE masks)")
