"""The lesions, or the existing labels, of an exported series as one DICOM segmentation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medsynth import __version__
from medsynth.dicom import patient as patients
from medsynth.dicom.files import save
from medsynth.dicom.geometry import same_plane
from medsynth.dicom.job import ExportJob
from medsynth.dicom.lesion_codes import CATEGORY, Triplet, label_codes, property_type
from medsynth.dicom.provenance import (
    MANUFACTURER,
    MODEL,
    SERIAL_NUMBER,
    WORD,
    contributing_equipment,
    in_character_set,
    label,
    line,
)
from medsynth.errors import GeometryError
from medsynth.storage.folders import new_folder

SEGMENTATION_SERIES_OFFSET = 500
# Lesions that were placed, and labels that the reference already had: name, role of the series in
# the job, number after the segmentations' offset, sentence, suffix of the tracking ID.
NEW = ("lesions", "segmentation", 0, f"{WORD} lesions placed by {MODEL}", "")
EXISTING = ("labels of the reference", "labels", 1, f"{WORD} image: labels of its reference", "L")
NAME = "0001.dcm"

# Recommended display colors, CIELab, distinguishable from one another and from gray.
COLORS = ((54, 81, 70), (88, -79, 81), (63, 10, -64), (90, -11, 75), (60, 93, -61), (91, -51, -15))


@dataclass(frozen=True)
class LesionMask:
    """Where one pathology is: `mask` is uint8 0/1 on the grid of the exported image.

    `label` is what people read (at most 64 characters), `kind` the preset's word for it. `coded`:
    category and type where they are known otherwise, for labels that the reference already had.
    """

    mask: sitk.Image
    label: str
    kind: str
    description: str = ""
    coded: tuple[Triplet | None, Triplet | None] = (None, None)


def write_segmentation(
    masks: Sequence[LesionMask],
    folder: str | Path,
    *,
    files: Sequence[str | Path],
    job: ExportJob,
    existing: bool = False,
) -> Path:
    """Write a segmentation of the exported slices `files` into `folder`, as its only file.

    `files` are those of `write_series`, in slice order: patient, study, frame of reference and the
    references are taken from them. `existing`: the masks are labels that the reference already had,
    not lesions that were placed.

    Raises:
        ValueError: there is no mask, or one of them is empty.
        GeometryError: a mask is not on the grid of the exported slices.
        FileExistsError: `folder` is not empty.
    """
    slices = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    if not masks:
        raise ValueError("there is no lesion mask to write, expected at least one")
    segments = np.stack([_voxels(lesion, slices) for lesion in masks], axis=-1)
    dataset = _segmentation(segments, masks, slices=slices, job=job, existing=existing)
    with new_folder(Path(folder)) as partial:
        save(dataset, partial / NAME)
    return Path(folder) / NAME


def _voxels(lesion: LesionMask, slices: Sequence[Dataset]) -> np.ndarray:
    """The mask as bool (k, j, i), known to lie on the exported grid and not to be empty."""
    voxels = sitk.GetArrayViewFromImage(lesion.mask) != 0
    expected = (len(slices), slices[0].Rows, slices[0].Columns)
    if voxels.shape != expected:
        raise GeometryError(
            f"the mask of {lesion.label!r} has {voxels.shape} voxels (k, j, i), the exported "
            f"series {expected}; resample it onto the image first"
        )
    for k in (0, len(slices) - 1):
        if "ImagePositionPatient" in slices[k] and not same_plane(slices[k], lesion.mask, k=k):
            raise GeometryError(
                f"slice {k} of the mask of {lesion.label!r} lies elsewhere than that of the "
                "exported series; resample it onto the image first"
            )
    if not voxels.any():
        raise ValueError(f"the mask of {lesion.label!r} is empty")
    return voxels


def _segmentation(
    segments: np.ndarray,
    masks: Sequence[LesionMask],
    *,
    slices: Sequence[Dataset],
    job: ExportJob,
    existing: bool,
) -> Dataset:
    """The data set of `segments`, bool (k, j, i, segment)."""
    first = slices[0]
    name, role, offset, sentence, _ = EXISTING if existing else NEW
    with warnings.catch_warnings():
        # It remarks upon patient names of one component; the reference's is what it is.
        warnings.filterwarnings("ignore", message="The string .* is unlikely to represent")
        dataset = hd.seg.Segmentation(
            source_images=slices,
            pixel_array=segments,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _describe(number, lesion, first=first, job=job, existing=existing)
                for number, lesion in enumerate(masks, start=1)
            ],
            series_instance_uid=job.uid("series", role),
            series_number=int(first.SeriesNumber) + SEGMENTATION_SERIES_OFFSET + offset,
            sop_instance_uid=job.uid(role),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=MODEL,
            software_versions=__version__,
            device_serial_number=SERIAL_NUMBER,
            content_label=WORD,
            content_description=sentence[:64],
            content_creator_name="MedSynth^Software",
            series_description=label(job, first, suffix=name),
        )
    _mark(dataset, first, job=job)
    return dataset


def _mark(dataset: Dataset, first: Dataset, *, job: ExportJob) -> None:
    """What highdicom does not know: the synthetic marks, times and UIDs that belong to the job."""
    dataset.SyntheticData = "YES"
    dataset.ContributingEquipmentSequence = contributing_equipment(job, None)
    date, time = job.created.strftime("%Y%m%d"), job.created.strftime("%H%M%S")
    for stem in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{stem}Date", date)
        setattr(dataset, f"{stem}Time", time)
    organization = job.uid("dimension organization")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    # highdicom takes over what the current standard knows, references have retired attributes too.
    patients.keep(dataset, first)
    if "LongitudinalTemporalInformationModified" in first:
        dataset.LongitudinalTemporalInformationModified = "REMOVED"
    if "PatientOrientation" in first and "ImageOrientationPatient" not in first:
        # Without a frame of reference it is required, and highdicom leaves it out.
        dataset.PatientOrientation = first.PatientOrientation


def _describe(
    number: int, lesion: LesionMask, *, first: Dataset, job: ExportJob, existing: bool
) -> hd.seg.SegmentDescription:
    kinds = hd.seg.SegmentAlgorithmTypeValues
    # Who drew an existing label, or what, its file need not say; only MANUAL claims no program.
    made: dict[str, Any] = {"algorithm_type": kinds.MANUAL if existing else kinds.AUTOMATIC}
    if existing:
        category, kind = label_codes(lesion.label, lesion.coded, first.Modality)
    else:
        category, kind = CATEGORY, property_type(lesion.kind, first.Modality)
        made["algorithm_identification"] = hd.AlgorithmIdentificationSequence(
            name=MODEL, family=codes.DCM.ArtificialIntelligence, version=__version__
        )
    role, letter = ("label", EXISTING[-1]) if existing else ("lesion", NEW[-1])
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=line(lesion.label, first),
        segmented_property_category=category,
        segmented_property_type=kind,
        tracking_uid=job.uid(role, number),
        tracking_id=f"{WORD}-{job.short_id}-{letter}{number}",
        **made,
        display_color=hd.color.CIELabColor(*COLORS[(number - 1) % len(COLORS)]),
    )
    text = lesion.description or lesion.kind.replace("_", " ")
    text = f"Label that the reference already had: {text}" if existing else text
    description.SegmentDescription = in_character_set(text, first)[:1024]
    return description
