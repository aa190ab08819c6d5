"""One look at every image: a thumbnail with outlines, what was measured, and a small picture to compare."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.factory.layouts.base import Entry, LayoutContext
from medsynth.factory.store import Annotation, SetItem
from medsynth.marking import jpeg_comment
from medsynth.pipeline.report.pictures import display_size, draw_outlines, resized, windowed
from medsynth.storage.files import new_file

THUMBNAIL, SIDE = 160, 32


@dataclass(frozen=True)
class Survey:
    """thumbnails/ID.jpg and records.jsonl; written as layouts are, so that a kill loses one image."""

    name: str = "survey"
    title: str = "Thumbnails and measurements of every image"

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """The slice with most of the lesions in it, or the middle one."""
        image = item.image()
        values = sitk.GetArrayViewFromImage(image)
        masks = [(each, each.voxels()) for each in item.annotations]
        k = _shown_slice(item, [mask for each, mask in masks if not each.existing])
        name = f"thumbnails/{item.id}.jpg"
        (folder / "thumbnails").mkdir(exist_ok=True)
        size = display_size(values[k].shape, image.GetSpacing(), longest=THUMBNAIL)
        gray = windowed(values[k], context.preset.windows[0])
        picture = resized(gray, size).convert("RGB")
        draw_outlines(picture, tuple(mask[k] for _, mask in masks), width=1)
        with new_file(folder / name, overwrite=True) as partial:
            picture.save(partial, "JPEG", quality=82, comment=jpeg_comment())
        return {
            "thumbnail": name,
            "shown_slice": k,
            "size": list(image.GetSize()),
            "spacing_mm": [round(x, 4) for x in image.GetSpacing()],
            "real_slices": values.shape[0] - (item.slices[1] - item.slices[0] + 1),
            "measured": [_measured(each, image) for each, _ in masks],
            "small": small_picture(gray),
            "files": [name],
        }

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """Nothing: the pages are made of the records."""


def _shown_slice(item: SetItem, masks: list[np.ndarray]) -> int:
    first, last = item.slices
    if not masks:
        return (first + last) // 2
    areas = np.sum([mask.sum(axis=(1, 2)) for mask in masks], axis=0)
    return int(np.argmax(areas))


def _measured(each: Annotation, image: sitk.Image) -> Entry:
    """From the record: kind, size, contrast; and where in the picture, as shares of its sides."""
    record = each.record
    found: Entry = {"class": each.class_name, "existing": each.existing}
    center = record.get("centroid_mm")
    if center is not None:
        ijk = image.TransformPhysicalPointToContinuousIndex([float(x) for x in center])
        found["place"] = [
            round((x + 0.5) / n, 4) for x, n in zip(ijk, image.GetSize(), strict=True)
        ]
    if not each.existing:
        found["diameter_mm"] = record.get("diameter_mm")
        if record.get("mean") is not None and record.get("mean_around") is not None:
            found["contrast"] = round(record["mean"] - record["mean_around"], 3)
    return found


def small_picture(gray: np.ndarray) -> str:
    """32 x 32 gray values of 8 bits, as text."""
    small = Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BOX)
    return base64.b64encode(np.asarray(small, np.uint8).tobytes()).decode()


def read_small(text: str) -> np.ndarray:
    """The gray values of `small_picture`, flat."""
    return np.frombuffer(base64.b64decode(text), np.uint8)
