"""A set made of a layout again, so that one layout can become another where the set itself is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import yaml

from medsynth.events import Listener, Stage, ignore
from medsynth.factory import layouts
from medsynth.factory.layouts.base import Entry, Readable, ReadBack
from medsynth.factory.layouts.writing import ABOUT, Entries
from medsynth.factory.store import FORMAT, ITEMS, PLAN, RECORD, ROWS, DataSet, open_set
from medsynth.images import write_image


def is_layout(folder: Path) -> bool:
    """Whether `folder` is a layout that `medsynth dataset` wrote."""
    return (folder / ABOUT).is_file()


def restore(folder: Path, into: Path, *, listener: Listener = ignore) -> DataSet:
    """The images of the layout in `folder` as a set in `into`, with what the layout says of them.

    Raises:
        ValueError: the layout is damaged, or does not hold the values of its images.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        layout = layouts.get(about["layout"])
        classes = list(about["classes"])[1:]
        total = int(about["images"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{folder} is no layout of a data set, or is damaged: {error}") from error
    if not isinstance(layout, Readable):
        able = ", ".join(n for n in layouts.LAYOUTS if isinstance(layouts.get(n), Readable))
        raise ValueError(
            f"{folder} is in the layout {layout.name}, from which no set can be made again: it does "
            f"not hold every value as it was. Convert from the set, or from one of {able}"
        )
    rows = []
    with Stage("reading the layout", total=total, listener=listener) as stage:
        for entry in Entries(folder):
            home = into / ITEMS / entry["id"]
            home.mkdir(parents=True)
            record = _write_item(entry, layout.read(entry, folder, classes), home)
            rows.append(_row(entry, record, about["data set"]))
            stage.advance(message=entry["id"])
    (into / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    plan = {"format": FORMAT, "preset": about["preset"], "name": about["data set"], "count": total}
    (into / PLAN).write_text(yaml.safe_dump(plan), encoding="utf-8")
    return open_set(into)


def _write_item(entry: Entry, read: ReadBack, home: Path) -> dict[str, Any]:
    """image.nrrd, the masks and result.json; returns the record."""
    write_image(read.image, home / "image.nrrd")
    known = list(entry["record"]["lesions"])
    lesions: list[Mapping[str, Any]] = []
    labels: list[Mapping[str, Any]] = []
    for class_name, mask in read.masks:
        existing = class_name.startswith("existing_")
        name = class_name.removeprefix("existing_").removeprefix("lesion_")
        into, stem = (labels, "label") if existing else (lesions, "pathology")
        file = f"{stem}_{len(into) + 1:02d}.nrrd"
        write_image(sitk.Cast(mask, sitk.sitkUInt8), home / file)
        said: Mapping[str, Any] = {"name": name} if existing else {"drawn": {"kind": name}}
        if not existing and not read.merged:
            said = known[len(lesions)]
        into.append({**said, **_measured(mask, read.image, existing), "mask": file})
    record = {
        **entry["record"],
        "seed": entry["seed"],
        "lesions": lesions,
        "labels": labels,
        "synthetic": True,
    }
    (home / RECORD).write_text(json.dumps(record), encoding="utf-8")
    return record


def _measured(mask: sitk.Image, image: sitk.Image, existing: bool) -> dict[str, Any]:
    marked = sitk.GetArrayViewFromImage(mask) != 0
    if not marked.any():
        return {"voxels": 0, "centroid_mm": None}
    center = np.argwhere(marked).mean(axis=0)[::-1]
    found = {
        "voxels": int(marked.sum()),
        "centroid_mm": image.TransformContinuousIndexToPhysicalPoint(center.tolist()),
    }
    if existing:
        return found
    return {**found, "mean": float(sitk.GetArrayViewFromImage(image)[marked].mean())}


def _row(entry: Entry, record: Mapping[str, Any], source: str) -> dict[str, Any]:
    kinds = [{"kind": lesion["drawn"]["kind"]} for lesion in record["lesions"]]
    return {
        "id": entry["id"],
        "seed": entry["seed"],
        "split": entry["split"],
        "anatomy": {
            "id": entry["group"],
            "patient": entry["group"],
            "image": entry["group"],
            "phantom": None,
            "license": entry["license"],
            "source": source,
        },
        "lesions": kinds,
        "request": None,
    }
