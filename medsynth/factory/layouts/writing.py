"""A layout on disk: image by image with a journal, so that a kill loses at most one image.

The journal, `records.jsonl`, stays in the finished layout: one line an image, with its entry and the
SHA-256 of its files. `layout.json` says what the folder is, and of which state of the set.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from medsynth import __version__
from medsynth.events import Listener, Stage, ignore
from medsynth.factory.layouts.base import Entry, Layout, LayoutContext
from medsynth.factory.store import DataSet, SetItem
from medsynth.marking import TEXT
from medsynth.storage.files import new_file, sha256
from medsynth.storage.growing import growing_folder
from medsynth.verification.before_export import pixel_doubts

RECORDS, ABOUT = "records.jsonl", "layout.json"
# Part of every digest: raise it when a writer changes what it writes.
VERSION = 1


def write_layout(
    dataset: DataSet,
    layout: Layout,
    target: Path,
    *,
    context: LayoutContext,
    listener: Listener = ignore,
) -> bool:
    """Write the finished images of `dataset` as `layout` into `target`; False where it is there already.

    Raises:
        ValueError: the layout cannot hold an image, or there is none.
        OSError: the disk is full, or `target` cannot be written.
    """
    digests = {item.id: item.digest for item in dataset.items()}
    if not digests:
        raise ValueError(f"{dataset.folder} has no finished image to lay out")
    state = state_of(digests, layout, context)
    if is_current(target, state):
        return False
    if target.exists() and not (target / ABOUT).is_file():
        raise FileExistsError(f"{target} is there and is no layout of a data set; choose another")
    with growing_folder(target) as folder:
        _keep_only(folder, state)
        with Stage(f"layout {layout.name}", total=len(digests), listener=listener) as stage:
            done = _done(folder / RECORDS)
            stage.advance(len(done))
            for item in dataset.items():
                if item.id in digests and item.id not in done:
                    _add(item, layout, folder, context)
                    stage.advance(message=item.id)
        _sort(folder / RECORDS, list(digests))
        layout.close(Entries(folder), folder, context)
        about = {
            "layout": layout.name,
            "title": layout.title,
            "data set": context.name,
            "preset": context.preset.name,
            "mark": TEXT,
            "images": len(digests),
            "classes": {"background": 0} | {name: i for i, name in enumerate(context.classes, 1)},
            "license": context.license,
            "medsynth": __version__,
            "state": state,
        }
        _sweep(folder)
        _write_json(about | {"files": _index_files(folder)}, folder / ABOUT)
    return True


def state_of(digests: dict[str, str], layout: Layout, context: LayoutContext) -> str:
    """A digest of everything that the layout's files depend on."""
    words = [VERSION, layout.name, context.name, context.classes, context.license, digests]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entries:
    """The entries of the images of a layout, read one at a time, as often as they are asked for."""

    folder: Path

    def __iter__(self) -> Iterator[Entry]:
        with open(self.folder / RECORDS, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def is_current(target: Path, state: str) -> bool:
    try:
        about = json.loads((target / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("state") == state


def _keep_only(folder: Path, state: str) -> None:
    """What an earlier run left counts if it was of the same state; else all is written again."""
    note = folder / ".state"
    if note.is_file() and note.read_text() == state:
        return
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    note.write_text(state)


def _done(journal: Path) -> set[str]:
    """Whose files are all there; a last line that a kill cut off is taken away."""
    if not journal.exists():
        return set()
    done, whole = set(), 0
    with open(journal, "rb+") as file:
        for line in file:
            try:
                done.add(json.loads(line)["id"])
            except (ValueError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        file.truncate(whole)
    return done


def _add(item: SetItem, layout: Layout, folder: Path, context: LayoutContext) -> None:
    try:
        image = item.image()  # kept: the array looks into its memory
        doubt = pixel_doubts(sitk.GetArrayViewFromImage(image), item.record)
        if doubt:
            raise ValueError(f"{doubt}; delete {item.folder} and make it again")
        entry = layout.add(item, folder, context)
    except ValueError as error:
        raise ValueError(f"layout {layout.name}, image {item.id}: {error}") from error
    files = {name: sha256(folder / name) for name in entry.get("files", [])}
    line = json.dumps(context.common(item) | entry | {"files": files}, ensure_ascii=False)
    with open(folder / RECORDS, "a", encoding="utf-8") as journal:
        journal.write(line + "\n")


def _sort(journal: Path, order: list[str]) -> None:
    """The lines in the order of the rows, whatever a kill made of it; only places are held."""
    places: dict[str, int] = {}
    with open(journal, "rb") as lines:
        at = 0
        for line in lines:
            places[json.loads(line)["id"]] = at
            at += len(line)
    with (
        new_file(journal, overwrite=True) as partial,
        open(journal, "rb") as lines,
        open(partial, "wb") as out,
    ):
        for name in order:
            lines.seek(places[name])
            out.write(lines.readline())


def _write_json(value: dict[str, Any], path: Path) -> None:
    with new_file(path, overwrite=True) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _index_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of the files that are of no single image: tables, JSON, shards."""
    of_images = {name for entry in Entries(folder) for name in entry["files"]}
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in found}
    others = names.keys() - of_images - {ABOUT, RECORDS}
    return {name: sha256(names[name]) for name in sorted(others)}


def _sweep(folder: Path) -> None:
    """Temporary files of a run that was killed, and the note of its state."""
    for path in folder.rglob(".*"):
        if path.is_file():
            path.unlink()
