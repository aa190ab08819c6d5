"""NIfTI: a folder for each image, with one mask a lesion; nothing is merged, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from medsynth.factory.layouts.base import Entry, LayoutContext, ReadBack
from medsynth.factory.layouts.text_files import write_csv
from medsynth.factory.store import SetItem
from medsynth.images import write_image

COLUMNS = ("id", "split", "group", "kind", "class", "file", "seed")


@dataclass(frozen=True)
class Nifti:
    """SPLIT/ID/image.nii.gz, pathology_01.nii.gz ..., label_01.nii.gz ..., and table.csv."""

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """The image and its masks, in physical units and millimeters."""
        home = folder / item.row.split / item.id
        home.mkdir(parents=True, exist_ok=True)
        write_image(item.image(), home / "image.nii.gz")
        masks = []
        for annotation in item.annotations:
            file = home / f"{annotation.file.stem}.nii.gz"
            write_image(annotation.mask(), file)
            masks.append(
                {
                    "file": file.relative_to(folder).as_posix(),
                    "class": annotation.class_name,
                    "existing": annotation.existing,
                }
            )
        image = (home / "image.nii.gz").relative_to(folder).as_posix()
        return {"image": image, "masks": masks, "files": [image, *(m["file"] for m in masks)]}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """table.csv: a line a file."""
        write_csv(folder / "table.csv", COLUMNS, _lines(entries))

    def read(self, entry: Entry, folder: Path, classes: Sequence[str]) -> ReadBack:
        """Every mask as it was."""
        image = sitk.ReadImage(str(folder / entry["image"]))
        masks = ((m["class"], sitk.ReadImage(str(folder / m["file"]))) for m in entry["masks"])
        return ReadBack(image, tuple(masks), merged=False)


def _lines(entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry | {"kind": "image", "file": entry["image"]}
        for mask in entry["masks"]:
            kind = "existing label" if mask["existing"] else "synthetic lesion"
            yield entry | {"kind": kind, "class": mask["class"], "file": mask["file"]}


LAYOUT = Nifti(name="nifti", title="NIfTI images, one mask a lesion, a table")
