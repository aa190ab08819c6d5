"""A MONAI datalist: `datalist.json` in the Decathlon form, beside images and label maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from medsynth.factory.layouts.base import Entry, LayoutContext, ReadBack, label_image, of_label_map
from medsynth.factory.layouts.text_files import write_json
from medsynth.factory.store import SetItem
from medsynth.images import write_image
from medsynth.marking import TEXT

# What MONAI's loaders call the parts.
KEYS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class MonaiDatalist:
    """images/ID.nii.gz, labels/ID.nii.gz and datalist.json; each image of the test has its label too."""

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """The image and its label map."""
        image, label = (folder / part / f"{item.id}.nii.gz" for part in ("images", "labels"))
        for file in (image, label):
            file.parent.mkdir(exist_ok=True)
        write_image(item.image(), image)
        labels, twice = label_image(item, context)
        write_image(labels, label)
        files = [file.relative_to(folder).as_posix() for file in (image, label)]
        return {"files": files, "voxels_of_two_classes": twice}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """datalist.json."""
        parts: dict[str, list[Entry]] = {key: [] for key in KEYS.values()}
        for entry in entries:
            image, label = entry["files"]
            parts[KEYS[entry["split"]]].append(
                {"image": image, "label": label, "id": entry["id"], "group": entry["group"]}
            )
        labels = {"0": "background"} | {str(i): n for i, n in enumerate(context.classes, 1)}
        write_json(
            folder / "datalist.json",
            {
                "name": context.name,
                "description": f"{TEXT} {context.preset.title}, values in {context.preset.units}.",
                "licence": context.license,
                "tensorImageSize": "3D",
                "modality": {"0": context.preset.modality},
                "labels": labels,
                "numTraining": len(parts["training"]),
                "numTest": len(parts["test"]),
                **parts,
            },
        )

    def read(self, entry: Entry, folder: Path, classes: Sequence[str]) -> ReadBack:
        """The image, and a mask for each class of its label map."""
        image, label = (sitk.ReadImage(str(folder / name)) for name in entry["files"])
        return of_label_map(image, label, classes)


LAYOUT = MonaiDatalist(name="monai", title="MONAI datalist (Decathlon form)")
