"""WebDataset: numbered tar shards a split, each image as arrays and a JSON under one key."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.factory.layouts.base import Entry, LayoutContext, ReadBack, label_map, of_label_map
from medsynth.factory.layouts.text_files import write_json
from medsynth.factory.store import SPLITS, SetItem
from medsynth.marking import KEY, TEXT
from medsynth.storage.files import new_file

# A shard is closed when it has so many bytes: what the tutorials of WebDataset call a good size is
# larger, but a set of slices should still have some shards to shuffle.
SHARD_BYTES = 256 << 20
SAMPLES = "samples"


@dataclass(frozen=True)
class WebDataset:
    """train-000000.tar ...: KEY.image.npy (k, j, i), KEY.mask.npy (class numbers), KEY.json.

    The JSON holds the geometry (LPS, mm), the classes, and the mark, which arrays have no place for.
    """

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """The sample's three members as files, which `close` packs."""
        home = folder / SAMPLES
        home.mkdir(exist_ok=True)
        image = item.image()
        labels, twice = label_map(item, context)
        _save(home / f"{item.id}.image.npy", _npy(sitk.GetArrayFromImage(image)))
        _save(home / f"{item.id}.mask.npy", _npy(labels))
        about = json.dumps(_about(item, image, context), ensure_ascii=False, sort_keys=True)
        _save(home / f"{item.id}.json", about.encode())
        return {"voxels_of_two_classes": twice}

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """The shards, each whole before its samples go, and shards.json."""
        if (folder / "shards.json").exists():  # a run that was killed while it cleared up
            shutil.rmtree(folder / SAMPLES, ignore_errors=True)
            return
        shards: list[Entry] = []
        for split in SPLITS:
            keys = [entry["id"] for entry in entries if entry["split"] == split]
            for number, part in enumerate(_parts(keys, folder)):
                name = f"{split}-{number:06d}.tar"
                if not (folder / name).exists():
                    _pack(part, folder, name)
                ends = {"first": part[0], "last": part[-1], "samples": len(part)}
                shards.append({"file": name, "split": split} | ends)
        write_json(folder / "shards.json", {KEY: TEXT, "shards": shards})
        shutil.rmtree(folder / SAMPLES, ignore_errors=True)

    def read(self, entry: Entry, folder: Path, classes: Sequence[str]) -> ReadBack:
        """The sample out of the shard that has it."""
        shards = json.loads((folder / "shards.json").read_text(encoding="utf-8"))["shards"]
        names = [s["file"] for s in shards if s["first"] <= entry["id"] <= s["last"]]
        names = [name for name in names if name.startswith(entry["split"])]
        with tarfile.open(folder / names[0]) as shard:
            about = json.loads(_member(shard, f"{entry['id']}.json"))
            image, labels = (
                _on_grid(np.load(io.BytesIO(_member(shard, f"{entry['id']}.{part}.npy"))), about)
                for part in ("image", "mask")
            )
        return of_label_map(image, labels, classes)


def _member(shard: tarfile.TarFile, name: str) -> bytes:
    file = shard.extractfile(name)
    assert file is not None
    return file.read()


def _on_grid(values: np.ndarray, about: dict[str, Any]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(about["spacing_mm"])
    image.SetOrigin(about["origin_mm"])
    image.SetDirection(about["direction"])
    return image


def _about(item: SetItem, image: sitk.Image, context: LayoutContext) -> dict[str, Any]:
    common = context.common(item)
    return {
        KEY: TEXT,
        "id": item.id,
        "split": common["split"],
        "group": common["group"],
        "seed": common["seed"],
        "spacing_mm": image.GetSpacing(),
        "origin_mm": image.GetOrigin(),
        "direction": image.GetDirection(),
        "units": context.preset.units,
        "synthesized_slices": item.slices,
        "classes": {name: i for i, name in enumerate(context.classes, start=1)},
        "annotations": [annotation.class_name for annotation in item.annotations],
    }


def _parts(keys: list[str], folder: Path) -> list[list[str]]:
    """The keys of each shard."""
    parts: list[list[str]] = []
    room = 0
    for key in keys:
        size = sum(path.stat().st_size for path in _members(key, folder))
        if not parts or size > room:
            parts.append([])
            room = SHARD_BYTES
        parts[-1].append(key)
        room -= size
    return parts


def _members(key: str, folder: Path) -> list[Path]:
    return [folder / SAMPLES / f"{key}.{end}" for end in ("image.npy", "mask.npy", "json")]


def _pack(keys: list[str], folder: Path, name: str) -> None:
    """One shard; the same bytes whenever it is written. The tar itself says that it is synthetic."""
    with (
        new_file(folder / name, overwrite=True) as partial,
        tarfile.open(
            partial, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": TEXT}
        ) as shard,
    ):
        for key in keys:
            for path in _members(key, folder):
                member = tarfile.TarInfo(path.name)
                member.size, member.mode = path.stat().st_size, 0o644
                with open(path, "rb") as file:
                    shard.addfile(member, file)


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()


def _save(path: Path, data: bytes) -> None:
    with new_file(path, overwrite=True) as partial:
        partial.write_bytes(data)


LAYOUT = WebDataset(name="webdataset", title="WebDataset shards (tar)")
