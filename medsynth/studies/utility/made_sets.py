"""What `medsynth dataset` made, read from the folder of the set: images, masks, whom they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth import domains
from medsynth.domains import Preset
from medsynth.events import ignore
from medsynth.images import ReferenceImage, read_image
from medsynth.pipeline.plan import Prepared, prepare
from medsynth.pipeline.preprocessing import preprocess_anatomy
from medsynth.request import load_request, read_mapping
from medsynth.studies.utility.crops import CropPlace, find_places

# To find an organ takes longer than all else that is done with an image of a set.
_FOUND: dict[tuple[Path, float, int], tuple[CropPlace, ...]] = {}
PLAN, ROWS, ITEMS, RECORD = "plan.yaml", "plan.jsonl", "items", "result.json"


@dataclass(frozen=True)
class SetImage:
    """One finished image of a set; with `pasted`, what it was before the network acted."""

    folder: Path
    row: dict[str, Any]
    record: dict[str, Any]
    preset: Preset
    pasted: bool = False

    @property
    def id(self) -> str:
        """Its number in the set."""
        return str(self.row["id"])

    @property
    def references(self) -> tuple[str, ...]:
        """The patients whose images it is made from; nobody where they are drawn."""
        anatomy = self.row["anatomy"]
        lesions = (lesion.get("patient") for lesion in self.row["lesions"])
        found = [anatomy["patient"] if anatomy["image"] else "", *lesions]
        return tuple(dict.fromkeys(str(name) for name in found if name))

    @property
    def lesion(self) -> str:
        """The study that its lesion was taken from; "" where it was drawn anew."""
        return next((str(e["source"]) for e in self.row["lesions"] if e.get("patient")), "")

    @property
    def lesions(self) -> list[np.ndarray]:
        """The masks of its new lesions, bool (k, j, i)."""
        return [self._mask(entry["mask"]) for entry in self.record["lesions"]]

    @property
    def labels(self) -> list[np.ndarray]:
        """The masks of what its reference already showed."""
        return [self._mask(entry["mask"]) for entry in self.record["labels"]]

    @property
    def middle(self) -> int:
        """The slice with most of the lesions, else the middle of what was synthesized."""
        areas = sum((mask.sum(axis=(1, 2)) for mask in self.lesions), np.zeros(1))
        first, last = self.record["slices"]
        return int(np.argmax(areas)) if np.any(areas) else (int(first) + int(last)) // 2

    def read(self) -> ReferenceImage:
        """The image; or its reference with the lesions pasted."""
        if self.pasted:
            return ReferenceImage(pasted_image(self._prepared), source=str(self.folder))
        return self._finished()

    def _finished(self) -> ReferenceImage:
        path = self.folder / "image.nrrd"
        return ReferenceImage(sitk.ReadImage(str(path)), source=str(path))

    def crop_places(self, crop_mm: float, without: int) -> tuple[CropPlace, ...]:
        """Crops around its lesions and elsewhere, as `find_places`; found in the finished image.

        Pasted lesions are looked at in the same places, and what was found is kept for them.
        """
        key = (self.folder, crop_mm, without)
        if key not in _FOUND:
            image = self._finished().image
            _FOUND[key] = tuple(
                find_places(
                    sitk.GetArrayFromImage(image),
                    image.GetSpacing(),
                    self.lesions,
                    self.labels,
                    preset=self.preset,
                    crop_mm=crop_mm,
                    without=without,
                    name=self.id,
                )
            )
        return _FOUND[key]

    @cached_property
    def _prepared(self) -> Prepared:
        """Its reference and lesions; what the reference already shows is in the record."""
        request = load_request(self.folder / "request.yaml")
        request = replace(request, anatomy=replace(request.anatomy, labels=None))
        preprocessed = None
        if isinstance(request.anatomy.image, Path):
            reference = _read(request.anatomy.image, request.anatomy.series_uid)
            preprocessed = preprocess_anatomy(request.anatomy, reference, self.preset)
        return prepare(request, preset=self.preset, listener=ignore, preprocessed=preprocessed)

    def _mask(self, name: str) -> np.ndarray:
        if Path(name).name != name:
            raise ValueError(
                f"{self.folder / RECORD} names the file {name!r}, which is not its own"
            )
        return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(self.folder / name))) != 0)


@lru_cache(maxsize=6)
def _read(path: Path, series_uid: str | None) -> ReferenceImage:
    """The references used last: a set has many images of one series."""
    return read_image(path, series_uid=series_uid)


def read_set(folder: Path, *, split: str = "", pasted: bool = False) -> list[SetImage]:
    """The finished images of a set, in the order of its rows.

    Raises:
        ValueError: it is no set, a line of it cannot be read, or nothing of the split is finished.
    """
    if not (folder / PLAN).is_file() or not (folder / ROWS).is_file():
        raise ValueError(f"{folder} is no data set: give the DIR of `medsynth dataset -o DIR`")
    preset = domains.get(str(read_mapping(folder / PLAN).get("preset")))
    found = []
    for number, line in enumerate((folder / ROWS).read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            item = folder / ITEMS / row["id"]
            if split in ("", row["split"]) and (item / RECORD).is_file():
                record = json.loads((item / RECORD).read_text(encoding="utf-8"))
                found.append(SetImage(item, row, record, preset, pasted))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / ROWS}, line {number} cannot be read: {error}") from None
    if not found:
        raise ValueError(f"{folder} has no finished image{f' in {split}' if split else ''}")
    return found


def pasted_image(prepared: Prepared) -> sitk.Image:
    """The reference with every lesion in it as it was drawn or taken over, and no network at all."""
    reference = prepared.reference.image
    before = sitk.GetArrayFromImage(reference).astype(np.float32)
    values = before.copy()
    for region in prepared.regions:
        values += sitk.GetArrayFromImage(region.lesion.image) - before
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(reference)
    return image
