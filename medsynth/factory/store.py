"""A finished or growing data set on disk: its plan, its rows, its items, read one at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset, get
from medsynth.factory.plan import FORMAT, SPLITS
from medsynth.factory.rows import PlanRow
from medsynth.request.files import read_mapping

PLAN, ROWS, ITEMS = "plan.yaml", "plan.jsonl", "items"
REFUSED, QUARANTINE, LAYOUTS = "refused", "quarantine", "layouts"
RECORD = "result.json"


@dataclass(frozen=True)
class Annotation:
    """One mask of an item: a lesion that was placed, or a label that its reference already had.

    `name` is the kind of lesion or the label's name; `record` is what result.json says of it.
    """

    name: str
    file: Path
    existing: bool
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """As every layout calls it: what was there before is never one class with what is new."""
        words = "_".join(self.name.lower().replace("-", " ").split()) or "unnamed"
        return f"existing_{words}" if self.existing else f"lesion_{words}"

    def mask(self) -> sitk.Image:
        """uint8 0/1 on the grid of the image."""
        return sitk.ReadImage(str(self.file))

    def voxels(self) -> np.ndarray:
        """The mask as bool (k, j, i)."""
        return sitk.GetArrayFromImage(self.mask()) != 0


@dataclass(frozen=True)
class SetItem:
    """One finished image: its row, its folder, and what result.json records."""

    row: PlanRow
    folder: Path
    record: Mapping[str, Any]
    digest: str

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def slices(self) -> tuple[int, int]:
        """The first and the last slice that were synthesized."""
        first, last = self.record["slices"]
        return int(first), int(last)

    @cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """The new lesions, then the existing labels."""
        found = []
        for index, lesion in enumerate(self.record["lesions"]):
            asked = self.row.lesions[index] if index < len(self.row.lesions) else {}
            name = lesion.get("drawn", {}).get("kind") or asked.get("kind") or "lesion"
            found.append(Annotation(str(name), self._file(lesion["mask"]), False, lesion))
        for label in self.record["labels"]:
            found.append(Annotation(str(label["name"]), self._file(label["mask"]), True, label))
        return tuple(found)

    def _file(self, name: str) -> Path:
        """A file of the item; a record that names one elsewhere is not followed."""
        if Path(name).name != name:
            raise ValueError(
                f"{self.folder / RECORD} names the file {name!r}, which is not its own"
            )
        return self.folder / name

    def image(self) -> sitk.Image:
        """The synthetic image in physical units, three axes."""
        return sitk.ReadImage(str(self.folder / "image.nrrd"))


@dataclass(frozen=True)
class DataSet:
    """A folder that `medsynth dataset` made, or is making; `plan` as plan.yaml has it."""

    folder: Path
    plan: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.plan.get("name") or self.folder.name)

    @cached_property
    def preset(self) -> Preset:
        """Its domain."""
        return get(str(self.plan["preset"]))

    def rows(self) -> Iterator[PlanRow]:
        """What is asked for, image by image; read as they are asked for.

        Raises:
            ValueError: a line that is no row.
        """
        path = self.folder / ROWS
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, f"{path}, line {number}")

    def items(self) -> Iterator[SetItem]:
        """What is finished, in the order of the rows."""
        for row in self.rows():
            if (self.folder / ITEMS / row.id / RECORD).is_file():
                yield self.item(row)

    def item(self, row: PlanRow) -> SetItem:
        """The finished image of `row`.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: its record cannot be read.
        """
        folder = self.folder / ITEMS / row.id
        path = folder / RECORD
        if not path.is_file():
            raise FileNotFoundError(f"image {row.id} of {self.folder} is not finished: no {path}")
        raw = path.read_bytes()
        try:
            record = json.loads(raw)
            record["slices"], record["lesions"], record["labels"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error!r}); delete {folder} and make it again"
            ) from error
        return SetItem(row, folder, record, hashlib.sha256(raw).hexdigest())

    def refused(self) -> Iterator[dict[str, Any]]:
        """Near copies that the audit refused, with the reason."""
        return self._notes(REFUSED)

    def quarantined(self) -> Iterator[dict[str, Any]]:
        """Images that failed twice, with the error."""
        return self._notes(QUARANTINE)

    def _notes(self, folder: str) -> Iterator[dict[str, Any]]:
        for path in sorted((self.folder / folder).glob("*.json")):
            try:
                note = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ValueError(f"{path} is damaged: {error}") from error
            yield {"id": path.stem, **note}


def open_set(folder: Path | str) -> DataSet:
    """The data set in `folder`.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is no data set, or one of another version.
    """
    folder = Path(folder).expanduser().absolute()
    plan_file = folder / PLAN
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; give the DIR of `medsynth dataset -o DIR`")
    if not plan_file.is_file():
        raise ValueError(
            f"{folder} is no data set: it has no {PLAN}; give the DIR of `medsynth dataset -o DIR`"
        )
    plan = read_mapping(plan_file)
    if plan.get("format") != FORMAT:
        raise ValueError(
            f"{plan_file} says format: {plan.get('format')!r}, expected {FORMAT!r}; it is no data "
            "set of this version of medsynth"
        )
    if not isinstance(plan.get("preset"), str):
        raise ValueError(f"{plan_file} has no preset; it is damaged")
    if not (folder / ROWS).is_file():
        raise ValueError(f"{folder} has no {ROWS} yet; run `medsynth dataset` on its plan first")
    return DataSet(folder, plan)


def _row(line: str, where: str) -> PlanRow:
    try:
        row = PlanRow.from_json(line)
        row.anatomy["patient"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where} is no row of a data set ({error!r}); it is damaged") from error
    # An id is the name of a folder: one with a slash would lead out of the set.
    if not row.id.isdigit():
        raise ValueError(f"{where}: expected an id of digits, got {row.id!r}")
    if row.split not in SPLITS:
        raise ValueError(f"{where}: expected a split of {', '.join(SPLITS)}, got {row.split!r}")
    return row
