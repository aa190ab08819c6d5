"""DICOM: a study for each image, with a segmentation of its lesions and one of existing labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
import SimpleITK as sitk

from medsynth import __version__
from medsynth import dicom as objects
from medsynth.domains import Preset
from medsynth.factory.layouts.base import Entry, LayoutContext
from medsynth.factory.layouts.text_files import write_csv
from medsynth.factory.store import RECORD, Annotation, SetItem

COLUMNS = (
    *("id", "split", "group", "folder", "images", "patient_id"),
    *("study_instance_uid", "series_instance_uid", "lesions", "existing_labels"),
)


@dataclass(frozen=True)
class Dicom:
    """SPLIT/ID/image, seg (new lesions) and labels (existing ones), and index.csv.

    What `medsynth synthesize` wrote of an image is taken as it is; else a study of a synthetic
    patient is written, without anything of the reference's headers.
    """

    name: str
    title: str

    def add(self, item: SetItem, folder: Path, context: LayoutContext) -> Entry:
        """The image's study, read back and checked."""
        home = folder / item.row.split / item.id
        shutil.rmtree(home, ignore_errors=True)  # what a killed run left of it
        home.parent.mkdir(parents=True, exist_ok=True)
        image = item.image()
        if (item.folder / "dicom").is_dir():
            shutil.copytree(item.folder / "dicom", home)
            objects.validate(home)
        else:
            _write_study(item, image, home, context)
        files = sorted(home.rglob("*.dcm"))
        first = pydicom.dcmread(home / "image" / "0001.dcm", stop_before_pixels=True)
        return {
            "folder": home.relative_to(folder).as_posix(),
            "images": len(list((home / "image").glob("*.dcm"))),
            "patient_id": str(first.PatientID),
            "study_instance_uid": str(first.StudyInstanceUID),
            "series_instance_uid": str(first.SeriesInstanceUID),
            "lesions": sum(not annotation.existing for annotation in item.annotations),
            "existing_labels": sum(annotation.existing for annotation in item.annotations),
            "files": [file.relative_to(folder).as_posix() for file in files],
        }

    def close(self, entries: Iterable[Entry], folder: Path, context: LayoutContext) -> None:
        """index.csv: a line a study."""
        write_csv(folder / "index.csv", COLUMNS, entries)


def _write_study(item: SetItem, image: sitk.Image, home: Path, context: LayoutContext) -> None:
    preset = context.preset
    # Nothing of the moment, so that a study written again has the UIDs that it had.
    created = _created(item)
    job = objects.ExportJob(f"{context.name}|{item.id}|{item.digest}", created, title=preset.title)
    asked: Mapping[str, Any] = (item.row.request or {}).get("anatomy", {})
    series = objects.write_series(
        image,
        home / "image",
        preset=preset,
        job=job,
        derivation=_derivation(item, context),
        projection=_projection(asked, preset),
        from_patient=item.row.anatomy.get("image") is not None,
        burned_in_text=bool(asked.get("burned_in_text")),
        defaced=bool(asked.get("defaced")),
    )
    for existing, name in ((False, "seg"), (True, "labels")):
        masks = [
            _mask(annotation, index)
            for index, annotation in enumerate(item.annotations, start=1)
            if annotation.existing == existing
        ]
        if masks:
            objects.write_segmentation(
                masks, home / name, files=series.files, job=job, existing=existing
            )
    objects.validate(home, image=image, exempt=series.clipped + series.moved)


def _created(item: SetItem) -> datetime:
    """When the image was made; items record no time of their own, their file has it."""
    said = item.record.get("created")
    if said:
        return datetime.fromisoformat(said).replace(tzinfo=None)
    return datetime.fromtimestamp(int((item.folder / RECORD).stat().st_mtime))


def _mask(annotation: Annotation, number: int) -> objects.LesionMask:
    if not annotation.existing:
        label = f"Synthetic {annotation.name.replace('_', ' ')} lesion {number}"
        return objects.LesionMask(annotation.mask(), label, annotation.name)
    code = annotation.record.get("code")
    coded = (None, tuple(code) if code else None)
    return objects.LesionMask(annotation.mask(), annotation.name, annotation.name, coded=coded)


def _derivation(item: SetItem, context: LayoutContext) -> str:
    weights = item.record.get("checkpoint") or {}
    by = f"weights {weights['name']} sha256 {weights['sha256'][:16]}" if weights else "no network"
    lesions = ", ".join(f.name for f in item.annotations if not f.existing) or "none"
    return (
        f"SYNTHETIC image, not for diagnosis. Image {item.id} of the data set {context.name}, "
        f"MedSynthSlicer {__version__}, preset {context.preset.name}, {by}, seed "
        f"{item.record['seed']}; synthetic lesions: {lesions}."
    )[:1024]


def _projection(asked: Mapping[str, Any], preset: Preset) -> objects.Projection | None:
    """What the request says of how a projection image was taken."""
    if not preset.is_projection:
        return None
    phantom = asked.get("phantom")
    if isinstance(phantom, Mapping) and phantom.get("kind") == "breast":
        from medsynth.phantoms import breast_shape_of

        options = {key: value for key, value in phantom.items() if key != "kind"}
        drawn = breast_shape_of(**options)
        return objects.Projection(drawn.view, drawn.laterality)
    return objects.Projection(asked.get("view") or "", asked.get("laterality") or "")


LAYOUT = Dicom(name="dicom", title="DICOM images and segmentations")
