"""nnU-Net v2 raw data set: `nnunet/` stands for nnUNet_raw, with one Dataset900_NAME in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from medsynth.factory.layouts.base import Entry, LayoutContext, ReadBack, label_image, of_label_map
from medsynth.factory.layouts.text_files import write_json
from medsynth.factory.store import SetItem
from medsynth.images import write_image
from medsynth.marking import TEXT

NUMBER = 900
# A channel called CT is normalized by the intensities of the whole set, any other one by itself.
CHANNELS = {"CT": "CT"}


@dataclass(frozen=True)
class NnUNet:
    """imagesTr and labelsTr (train and validation), imagesTs and labelsTs (test), dataset.json.

    Images of one slice become volumes of one slice, for which nnU-Net plans in 2-D. One label map
    holds all: where a new lesion lies on an existing label, the new lesion counts.
    """

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """CASE_0000.nii.gz and its label map."""
        if not context.classes:
            raise ValueError("the set has no mask at all, and nnU-Net needs a class to learn")
        home = folder / home_of(context)
        case, part = f"ms_{item.id}", "Ts" if item.row.split == "test" else "Tr"
        image = home / f"images{part}" / f"{case}_0000.nii.gz"
        label = home / f"labels{part}" / f"{case}.nii.gz"
        for file in (image, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_image(item.image(), image)
        labels, twice = label_image(item, context)
        write_image(labels, label)
        files = [file.relative_to(folder).as_posix() for file in (image, label)]
        return {"case": case, "voxels_of_two_classes": twice, "files": files}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """dataset.json, and splits_final.json as nnU-Net reads it beside its preprocessed data."""
        home = folder / home_of(context)
        cases: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
        twice = 0
        for entry in entries:
            cases[entry["split"]].append(entry["case"])
            twice += entry["voxels_of_two_classes"]
        training = len(cases["train"]) + len(cases["validation"])
        if not training:
            raise ValueError("layout nnunet: no image is in train or validation; nnU-Net needs one")
        for part in ("imagesTr", "labelsTr"):
            (home / part).mkdir(parents=True, exist_ok=True)
        write_json(
            home / "dataset.json",
            {
                "channel_names": {
                    "0": CHANNELS.get(context.preset.modality, context.preset.modality)
                },
                "labels": {"background": 0} | {n: i for i, n in enumerate(context.classes, 1)},
                "numTraining": training,
                "file_ending": ".nii.gz",
                "overwrite_image_reader_writer": "SimpleITKIO",
                "name": context.name,
                "description": f"{TEXT} {context.preset.title}, values in {context.preset.units}.",
                "license": context.license,
                "voxels_of_two_classes": twice,
            },
        )
        write_json(
            home / "splits_final.json", [{"train": cases["train"], "val": cases["validation"]}]
        )

    def read(self, entry: Entry, folder: Path, classes: Sequence[str]) -> ReadBack:
        """The image, and a mask for each class of its label map."""
        image, label = (sitk.ReadImage(str(folder / name)) for name in entry["files"])
        return of_label_map(image, label, classes)


def home_of(context: LayoutContext) -> str:
    """nnU-Net takes names of letters, digits and underscores, after a number of three digits."""
    words = re.sub(r"\W+", "_", context.name, flags=re.ASCII).strip("_") or "set"
    return f"Dataset{NUMBER:03d}_{words}"


LAYOUT = NnUNet(name="nnunet", title="nnU-Net v2 raw data set")
