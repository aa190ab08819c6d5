"""What both PNG layouts share: pictures and class masks of slices, and a line in a table for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.factory.layouts.base import Entry, LayoutContext, label_map
from medsynth.factory.layouts.pictures import pixel_size, save_png, slices_of
from medsynth.factory.layouts.text_files import write_csv
from medsynth.factory.store import SetItem

COLUMNS = (
    *("image", "mask", "id", "split", "group", "slice", "rows", "columns"),
    *("column_mm", "row_mm", "slice_mm", "classes", "pixels_of_two_classes"),
)


@dataclass(frozen=True)
class PngTable(ABC):
    """`pixels` says how values become a picture, and what the table's `columns` say of that."""

    name: str
    title: str
    columns: tuple[str, ...]

    @abstractmethod
    def pixels(self, values: np.ndarray, preset: Preset) -> tuple[np.ndarray, dict[str, Any]]:
        """The picture of a slice in physical units."""

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """Every synthesized slice, with its mask."""
        image = item.image()
        values = sitk.GetArrayViewFromImage(image)
        labels, twice = label_map(item, context)
        lines: list[Entry] = []
        for k, stem in slices_of(item):
            names = [f"{part}/{stem}.png" for part in ("images", "masks")]
            picture, said = self.pixels(values[k], context.preset)
            save_png(picture, folder / names[0])
            save_png(labels[k], folder / names[1])
            found = [context.classes[n - 1] for n in np.unique(labels[k]) if n]
            lines.append(
                {"image": names[0], "mask": names[1], "slice": k, "classes": ";".join(found)}
                | {"rows": picture.shape[0], "columns": picture.shape[1]}
                | pixel_size(image)
                | said
            )
        files = [name for line in lines for name in (line["image"], line["mask"])]
        return {"slices": lines, "pixels_of_two_classes": twice, "files": files}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """table.csv: a line a picture."""
        lines = (entry | line for entry in entries for line in entry["slices"])
        write_csv(folder / "table.csv", (*COLUMNS, *self.columns), lines)
