"""`medsynth dataset verify`: is a set what it says, file by file? Every fault is found, none mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.events import Listener, Stage, ignore
from medsynth.factory.licenses import licenses_of
from medsynth.factory.store import ITEMS, LAYOUTS, QUARANTINE, REFUSED, Annotation, DataSet, SetItem
from medsynth.factory.verify_layouts import layout_faults
from medsynth.images.grids import check_same_geometry
from medsynth.marking import KEY, WORD
from medsynth.request import read_mapping
from medsynth.verification.before_export import pixel_doubts

# The mean within a mask is recorded rounded as JSON rounds; another image gives quite another one.
MEAN_TOLERANCE = 0.01
CENTER_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Fault:
    """What is wrong; `where` is an image's id, a layout, or the set."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def find_faults(dataset: DataSet, *, listener: Listener = ignore) -> Iterator[Fault]:
    """Every fault of the set: rows, images, masks against the record, marks, splits, licenses, layouts.

    Raises:
        ValueError: plan.jsonl is damaged, so that nothing can be compared.
    """
    total = sum(1 for _ in dataset.rows())
    seen: set[str] = set()
    with Stage("checking images", total=total, listener=listener) as stage:
        for row in dataset.rows():
            if row.id in seen:
                yield Fault(row.id, "is in plan.jsonl twice")
            seen.add(row.id)
            yield from _state_faults(dataset, row.id)
            if (dataset.folder / ITEMS / row.id).is_dir():
                try:
                    item = dataset.item(row)
                    for what in item_faults(item):
                        yield Fault(row.id, what)
                except (ValueError, OSError) as error:
                    yield Fault(row.id, _one_line(error))
            stage.advance(message=row.id)
    for path in sorted((dataset.folder / ITEMS).glob("[!.]*")):
        if path.name not in seen:
            yield Fault(path.name, f"{path} belongs to no row of plan.jsonl")
    yield from split_faults(dataset)
    yield from license_faults(dataset)
    for folder in sorted((dataset.folder / LAYOUTS).glob("[!.]*")):
        for what in layout_faults(dataset, folder):
            yield Fault(f"layouts/{folder.name}", what)


def _state_faults(dataset: DataSet, name: str) -> Iterator[Fault]:
    """An image is finished, or refused, or in quarantine: exactly one of them."""
    places = {
        ITEMS: dataset.folder / ITEMS / name,
        REFUSED: dataset.folder / REFUSED / f"{name}.json",
        QUARANTINE: dataset.folder / QUARANTINE / f"{name}.json",
    }
    there = [place for place, path in places.items() if path.exists()]
    if not there:
        yield Fault(name, "is not made yet; run `medsynth dataset` again")
    if len(there) > 1:
        yield Fault(name, f"is in {' and in '.join(there)}")


def item_faults(item: SetItem) -> Iterator[str]:
    """What is wrong with one finished image.

    Raises:
        ValueError, OSError: a file cannot be read.
    """
    if item.record.get("synthetic") is not True:
        yield "result.json does not say that it is synthetic"
    if item.record.get("seed") != item.row.seed:
        yield f"result.json has seed {item.record.get('seed')}, plan.jsonl {item.row.seed}"
    asked = read_mapping(item.folder / "request.yaml")
    if asked.get("seed") != item.row.seed:
        yield f"request.yaml has seed {asked.get('seed')}, plan.jsonl {item.row.seed}"
    lesions = [each for each in item.annotations if not each.existing]
    if len(lesions) != len(item.row.lesions):
        yield f"{len(lesions)} lesions were drawn, {len(item.row.lesions)} asked for"
    image = _read(item.folder / "image.nrrd")
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values).all():
        yield "image.nrrd holds values that are NaN or infinite"
    yield from _mark_faults(image, "image.nrrd")
    doubt = pixel_doubts(values, item.record)
    if doubt:
        yield f"image.nrrd: {doubt}"
    known = {"image.nrrd", *(each.file.name for each in item.annotations)}
    for path in sorted(item.folder.glob("*.nrrd")):
        if path.name not in known:
            yield f"{path.name} is in no record"
    for each in item.annotations:
        yield from _mask_faults(each, image, values)


def _mask_faults(each: Annotation, image: sitk.Image, values: np.ndarray) -> Iterator[str]:
    """The mask is there, on the image's grid, marked, and the one that the record speaks of."""
    name = each.file.name
    if not each.file.is_file():
        yield f"{name} is not there"
        return
    mask = _read(each.file)
    try:
        check_same_geometry(mask, image)
    except GeometryError as error:
        yield f"{name} is not on the grid of image.nrrd: {error}"
        return
    yield from _mark_faults(mask, name)
    voxels = sitk.GetArrayViewFromImage(mask)
    if not np.isin(voxels, (0, 1)).all():
        yield f"{name} holds other values than 0 and 1"
    marked = voxels != 0
    count, said = int(marked.sum()), each.record.get("voxels")
    if count != said:
        yield f"{name} marks {count} voxels, result.json says {said}"
        return
    if not count:
        return
    center = np.argwhere(marked).mean(axis=0)[::-1]
    place = np.array(image.TransformContinuousIndexToPhysicalPoint(center.tolist()))
    away = np.linalg.norm(place - np.array(each.record["centroid_mm"]))
    if away > CENTER_TOLERANCE_MM:
        yield f"{name} lies {away:.2f} mm from where result.json says"
    if "mean" in each.record:
        mean = float(values[marked].mean())
        if abs(mean - each.record["mean"]) > MEAN_TOLERANCE * max(1.0, abs(mean)):
            yield (
                f"image.nrrd has a mean of {mean:.2f} within {name}, result.json says "
                f"{each.record['mean']:.2f}: it is another image"
            )


def _mark_faults(image: sitk.Image, name: str) -> Iterator[str]:
    if not image.HasMetaDataKey(KEY) or WORD not in image.GetMetaData(KEY):
        yield f"{name} is not marked as synthetic in its header"


def split_faults(dataset: DataSet) -> Iterator[Fault]:
    """No patient, neither of a reference nor of an annotated lesion, is in two splits."""
    first: dict[str, tuple[str, str]] = {}
    reported: set[str] = set()
    for row in dataset.rows():
        for patient in row.patients:
            split, name = first.setdefault(patient, (row.split, row.id))
            if split != row.split and patient not in reported:
                reported.add(patient)
                yield Fault(
                    "splits",
                    f"patient {patient} is in {split} (image {name}) and in {row.split} "
                    f"(image {row.id})",
                )


def license_faults(dataset: DataSet) -> Iterator[Fault]:
    """Whoever passes the set on must know every license that it stands under."""
    for each in licenses_of(dataset):
        if not each.is_known:
            yield Fault(
                "licenses",
                f"nobody says under which license the {each.what} of {each.source} are "
                f"({each.images} images)",
            )


def _read(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        words: Any = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path.name} cannot be read ({words})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
