"""A folder of marked images made by one system: resumable, each image complete or not there.

FOLDER/request.json       what was asked; the same request goes on, another is refused
FOLDER/images/000001.png  (gray values) or .nrrd (physical units), marked as synthetic
FOLDER/originals/         what a service answered with, untouched
FOLDER/dicom/000001/      where DICOM is asked for
FOLDER/records/000001.json
FOLDER/result.json        all of it together, at the end
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import SimpleITK as sitk

from medsynth import __version__, domains, marking
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.generators import systems
from medsynth.generators.systems import GeneratedImage, ImageRequest, ImageSystem
from medsynth.images import write_image
from medsynth.marking.keys import writing_key
from medsynth.marking.limits import limits_of_gray
from medsynth.marking.manifest import check_signing, sign_if_possible
from medsynth.marking.pixels import marked
from medsynth.storage.files import new_file, sha256
from medsynth.storage.lock import held

FORMAT = "medsynth generate 1"
REQUEST, RESULT, LOCK = "request.json", "result.json", ".lock"
FOLDERS = ("images", "originals", "records", "dicom")


@dataclass(frozen=True)
class ImageSet:
    """What a run left: images that are there, and those there are not, with the reason."""

    folder: Path
    made: int
    refused: dict[int, str]
    open: dict[int, str]


def generate(
    request: ImageRequest,
    folder: Path | str,
    *,
    dicom: bool = False,
    limit: int | None = None,
    listener: Listener = ignore,
) -> ImageSet:
    """Make the images of `request` that `folder` does not hold yet.

    Args:
        request: what is wanted; the same as in an earlier run on this folder.
        folder: where they go; made if it is not there.
        dicom: write each as a DICOM object too, which needs a preset of gray values or images in its units.
        limit: make at most so many now.
        listener: called with progress and warnings.

    Raises:
        ValueError: the system cannot follow the request, or the folder holds another one's images.
        BlockingIOError: another run makes images there now.
        FileExistsError: the folder is there and holds something else.
        PermissionError, ConnectionError, CheckpointError, MissingExtra: as the system says.
    """
    systems.get(request.system).accepts.check(request)
    _check_dicom(request, dicom)
    check_signing()
    folder = Path(folder).expanduser().resolve()
    with _claimed(folder, request):
        system = systems.load(request, work=folder, listener=listener)
        missing = [i for i in range(request.count) if not _is_settled(folder, i)]
        wanted = missing if limit is None else missing[:limit]
        listener(Event("estimate", message=system.estimate(len(wanted))))
        _make(system, wanted, folder, request=request, dicom=dicom, listener=listener)
        return _finish(folder, request)


def _check_dicom(request: ImageRequest, dicom: bool) -> None:
    if request.preset:
        domains.get(request.preset)
    if dicom and not request.preset:
        raise ValueError("--dicom needs --preset, the domain whose DICOM class is written")


@contextlib.contextmanager
def _claimed(folder: Path, request: ImageRequest) -> Iterator[None]:
    """The folder is this run's, and its images are of this request."""
    asked = _frozen(request)
    if folder.exists():
        _check_folder(folder, asked)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / LOCK):
        _check_folder(folder, asked)
        if not (folder / REQUEST).exists():
            with new_file(folder / REQUEST) as file:
                file.write_text(
                    json.dumps(asked, indent=2, sort_keys=True) + "\n", encoding="utf-8"
                )
        yield


def _frozen(request: ImageRequest) -> dict[str, Any]:
    """What must not change between runs: not how many, nor how long to wait or what to pay."""
    values = asdict(request)
    del values["count"]
    running = systems.get(request.system).running_options
    options = {key: value for key, value in request.options.items() if key not in running}
    return json.loads(json.dumps({"format": FORMAT, **values, "options": options}))


def _check_folder(folder: Path, asked: dict[str, Any]) -> None:
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder to make; choose another name")
    file = folder / REQUEST
    if not file.exists():
        foreign = [e.name for e in sorted(folder.iterdir()) if not e.name.startswith(".")]
        if foreign:
            raise FileExistsError(
                f"{folder} holds {foreign[0]} and no {REQUEST}; choose an empty folder"
            )
        return
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); choose another folder") from error
    for key in asked:
        if earlier.get(key) != asked[key]:
            raise ValueError(
                f"{folder} holds images of another request: {key} was {earlier.get(key)!r}, now "
                f"{asked[key]!r}; choose another folder, or ask as before to go on"
            )


def _name(index: int) -> str:
    return f"{index + 1:06d}"


def _record(folder: Path, index: int) -> dict[str, Any] | None:
    """The record of image `index`, None where there is none."""
    try:
        return json.loads((folder / "records" / f"{_name(index)}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # a file is written whole; what is no JSON is not ours
        return None


def _is_settled(folder: Path, index: int) -> bool:
    """Whether image `index` is there, whole, or was refused for good."""
    record = _record(folder, index)
    if record is None:
        return False
    if record.get("refused"):
        return not record.get("again")
    file = folder / record["file"]
    return file.is_file() and sha256(file) == record["sha256"]


def _make(
    system: ImageSystem,
    wanted: list[int],
    folder: Path,
    *,
    request: ImageRequest,
    dicom: bool,
    listener: Listener,
) -> None:
    for name in FOLDERS:
        if name != "dicom" or dicom:
            (folder / name).mkdir(exist_ok=True)
    with Stage("generating", total=len(wanted), listener=listener) as stage:
        for image in system.generate(wanted):
            _store(image, folder, request=request, dicom=dicom, listener=listener)
            system.stored(image)
            if image.refused:
                listener(Event("warning", message=f"image {_name(image.index)}: {image.refused}"))
            stage.advance()


def _store(
    image: GeneratedImage,
    folder: Path,
    *,
    request: ImageRequest,
    dicom: bool,
    listener: Listener,
) -> None:
    """The image first, its record last: what has a record is whole."""
    record: dict[str, Any] = {
        "index": image.index,
        "seed": request.seed,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **image.record,
    }
    if image.values is None:
        record |= {"refused": image.refused, "again": image.again}
    else:
        key = writing_key()
        values = _marked(image.values, image.preset or request.preset)
        image = replace(image, values=values)
        record["pixel_mark"] = {"key": key.name, "key_id": key.identifier}
        file = _write_image(values, folder / "images", _name(image.index))
        record |= {"file": f"images/{file.name}", "sha256": sha256(file)}
        record["memory_mb"] = round(psutil.Process().memory_info().rss / 2**20)
        if image.original is not None:
            kept = folder / "originals" / f"{_name(image.index)}{image.original_suffix}"
            with new_file(kept, overwrite=True) as partial:
                partial.write_bytes(image.original)
            record["original"] = f"originals/{kept.name}"
        if dicom:
            record["dicom"] = _write_dicom(image, folder, request, listener)
    with new_file(folder / "records" / f"{_name(image.index)}.json", overwrite=True) as partial:
        partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _marked(values: np.ndarray, preset: str) -> np.ndarray:
    """`values`, gray values or in the units of `preset`, with the mark in their pixels."""
    step = {"uint8": 1.0, "uint16": 257.0}.get(values.dtype.name)
    limits = limits_of_gray(step) if step else domains.get(preset).mark_limits
    return marked(values, 1.0, key=writing_key(), limits=limits)


def _write_image(values: np.ndarray, folder: Path, name: str) -> Path:
    """Gray values as a marked PNG of their own depth, others as a marked NRRD."""
    from PIL import Image

    if values.dtype not in (np.uint8, np.uint16):
        file = folder / f"{name}.nrrd"
        write_image(sitk.GetImageFromArray(np.asarray(values, np.float32)[None]), file)
        return file
    file = folder / f"{name}.png"
    with new_file(file, overwrite=True) as partial:
        Image.fromarray(values).save(partial, format="PNG", pnginfo=marking.png_chunks())
        sign_if_possible(partial)
    return file


def _write_dicom(
    image: GeneratedImage, folder: Path, request: ImageRequest, listener: Listener
) -> str:
    """The image as one DICOM object of its domain's class, read back."""
    import shutil

    from medsynth import dicom

    preset = domains.get(request.preset)
    assert image.values is not None
    if image.values.dtype == np.uint8 and preset.units == "HU":
        raise ValueError(
            f"preset {preset.name} holds HU, but {request.system} makes gray values, whose HU nobody "
            "knows; leave --dicom out, or choose a preset of gray values"
        )
    volume = sitk.GetImageFromArray(image.values.astype(np.float32)[None])
    target = folder / "dicom" / _name(image.index)
    shutil.rmtree(target, ignore_errors=True)  # of a run that was killed before the record
    job = dicom.ExportJob(f"{_frozen_digest(request)}|{image.index}", title=preset.title)
    made = dicom.write_series(
        volume,
        target,
        preset=preset,
        job=job,
        derivation=(
            f"SYNTHETIC image, not for diagnosis. Made by the image system {request.system} through "
            f"MedSynthSlicer {__version__}, image {image.index + 1}, seed {request.seed}."
        ),
        pixel_size_known=False,
        from_patient=False,
    )
    for note in made.warnings:
        listener(Event("warning", message=note))
    dicom.validate(target, image=volume, exempt=made.clipped + made.moved)
    return f"dicom/{target.name}"


def _frozen_digest(request: ImageRequest) -> str:
    return hashlib.sha256(json.dumps(_frozen(request), sort_keys=True).encode()).hexdigest()


def _finish(folder: Path, request: ImageRequest) -> ImageSet:
    """result.json, and what is there."""
    records = {i: r for i in range(request.count) if (r := _record(folder, i)) is not None}
    refused = {
        i: r["refused"] for i, r in records.items() if r.get("refused") and not r.get("again")
    }
    made = sum("file" in r for r in records.values())
    missing = {
        i: records.get(i, {}).get("refused", "not made yet")
        for i in range(request.count)
        if i not in refused and "file" not in records.get(i, {})
    }
    entry = systems.get(request.system)
    result = {
        "format": FORMAT,
        "synthetic": marking.TEXT,
        "system": {"name": entry.name, "title": entry.title, "license": entry.license},
        "request": _frozen(request) | {"count": request.count},
        "made": made,
        "refused": {_name(i): words for i, words in refused.items()},
        "open": {_name(i): words for i, words in missing.items()},
        "images": [records[i] for i in sorted(records)],
    }
    with new_file(folder / RESULT, overwrite=True) as partial:
        partial.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return ImageSet(folder, made, refused, missing)
