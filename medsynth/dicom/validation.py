"""Read an export back and refuse it if it does not say, or is not, what it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medsynth.dicom.geometry import same_plane
from medsynth.dicom.pixels import Depth
from medsynth.dicom.provenance import LONGEST_DERIVATION, SEGMENTATION_CLASS, require_marks
from medsynth.dicom.storage import padding_of, rescale_of
from medsynth.errors import GeometryError

# One Hounsfield unit; a reference whose own step is coarser cannot be met better than half of it.
TOLERANCE = 1.0


@dataclass(frozen=True)
class Report:
    """What was found in an export that passed.

    `max_error` is the largest deviation from the given image, in physical units, of a voxel that is
    not padding; None when no image was given. `beyond_tolerance` voxels deviate by more than 1.
    """

    images: int
    segmentations: int
    segments: int
    max_error: float | None = None
    beyond_tolerance: int = 0


def validate(
    source: str | Path | Sequence[str | Path],
    *,
    image: sitk.Image | None = None,
    exempt: int = 0,
) -> Report:
    """Check the DICOM files of one export: a folder (searched to the bottom) or a list of files.

    Every object must carry the synthetic marks, all must belong together (patient, study, frame of
    reference, one image series, unique UIDs), the slices must form a regular stack, and
    segmentations must refer to nothing but these images. With `image`, the slices must lie where
    its slices lie and give back its values within 1 unit; `exempt` voxels, those that the writer
    reported as clipped or moved, may deviate more.

    Raises:
        ValueError: marks are missing, objects do not belong together, or values deviate.
        GeometryError: slices lie elsewhere than those of `image`, or are not a stack.
    """
    files = _files(source)
    datasets = {file: pydicom.dcmread(file, stop_before_pixels=True) for file in files}
    for file, dataset in datasets.items():
        _check_object(dataset, file)
    images = [each for each in datasets.values() if each.SOPClassUID != SEGMENTATION_CLASS]
    images.sort(key=lambda each: int(each.InstanceNumber))
    segmentations = [each for each in datasets.values() if each.SOPClassUID == SEGMENTATION_CLASS]
    if not images:
        raise ValueError(f"no images among {len(files)} files of {source}")
    _check_together(images, segmentations)
    _check_stack(images)
    for segmentation in segmentations:
        _check_segmentation(segmentation, images)
    error, beyond = (None, 0) if image is None else _compare(images, image)
    if beyond > exempt:
        raise ValueError(
            f"{beyond} voxels read back deviate by up to {error:.3g} from the image, expected at "
            f"most {TOLERANCE:g} (exempt are {exempt} voxels)"
        )
    return Report(
        images=len(images),
        segmentations=len(segmentations),
        segments=sum(len(each.SegmentSequence) for each in segmentations),
        max_error=error,
        beyond_tolerance=beyond,
    )


def _files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    if isinstance(source, str | Path):
        files = sorted(Path(source).rglob("*.dcm"))
    else:
        files = [Path(each) for each in source]
    if not files:
        raise ValueError(f"no DICOM files (*.dcm) in {source}")
    return files


def _check_object(dataset: Dataset, file: Path) -> None:
    require_marks(dataset, where=str(file))
    if dataset.file_meta.TransferSyntaxUID != ExplicitVRLittleEndian:
        raise ValueError(f"{file} is not in Explicit VR Little Endian")
    if dataset.file_meta.MediaStorageSOPInstanceUID != dataset.SOPInstanceUID:
        raise ValueError(f"{file} has another SOP instance UID in its file header")
    if len(dataset.get("DerivationDescription", "")) > LONGEST_DERIVATION:
        raise ValueError(f"{file} has a DerivationDescription longer than {LONGEST_DERIVATION}")
    if any(element.tag.is_private for element in dataset.iterall()):
        raise ValueError(f"{file} has private attributes, which the writer never writes")
    _check_sources(dataset, file)


def _check_sources(dataset: Dataset, file: Path) -> None:
    """ReferencedSeriesSequence lists exactly what SourceImageSequence names (PS3.3 C.12.2)."""
    sources = {each.ReferencedSOPInstanceUID for each in dataset.get("SourceImageSequence", [])}
    listed = {
        instance.ReferencedSOPInstanceUID
        for series in dataset.get("ReferencedSeriesSequence", [])
        for instance in series.ReferencedInstanceSequence
    }
    if sources != listed:
        raise ValueError(
            f"{file} names {len(sources)} source images and lists {len(listed)} by series, of "
            f"which {len(sources & listed)} are the same; expected all"
        )


def _check_together(images: Sequence[Dataset], segmentations: Sequence[Dataset]) -> None:
    everything = [*images, *segmentations]
    uids = Counter(each.SOPInstanceUID for each in everything)
    twice = [uid for uid, count in uids.items() if count > 1]
    if twice:
        raise ValueError(f"SOP instance UID {twice[0]} is used more than once")
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        _check_one(everything, keyword)
    for keyword in ("SeriesInstanceUID", "SOPClassUID", "SeriesNumber", "BitsStored"):
        _check_one(images, keyword)
    series = {each.SeriesInstanceUID for each in segmentations}
    if series & {images[0].SeriesInstanceUID}:
        raise ValueError("a segmentation is in the series of the images")


def _check_one(datasets: Sequence[Dataset], keyword: str) -> None:
    values = {str(each.get(keyword)) for each in datasets}
    if len(values) > 1:
        raise ValueError(f"{keyword} differs within the export: {', '.join(sorted(values))}")


def _check_stack(images: Sequence[Dataset]) -> None:
    """One plane orientation and spacing, one distance between neighbors, along one line."""
    for keyword in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        _check_one(images, keyword)
    if len(images) < 3 or "ImagePositionPatient" not in images[0]:
        return
    positions = np.array([each.ImagePositionPatient for each in images], float)
    steps = np.diff(positions, axis=0)
    error = np.abs(steps - steps.mean(axis=0)).max()
    if error > 1e-2:
        raise GeometryError(f"the slices are not evenly spaced: steps differ by {error:.3g} mm")


def _check_segmentation(segmentation: Dataset, images: Sequence[Dataset]) -> None:
    """It refers to these images only, and every frame lies on the slice that it was drawn on."""
    by_uid = {each.SOPInstanceUID: each for each in images}
    named = {each.ReferencedSOPInstanceUID for each in segmentation.SourceImageSequence}
    if named - set(by_uid):
        raise ValueError("the segmentation refers to images that are not in the export")
    if (segmentation.Rows, segmentation.Columns) != (images[0].Rows, images[0].Columns):
        raise GeometryError("the segmentation has another number of rows and columns")
    for number, frame in enumerate(segmentation.PerFrameFunctionalGroupsSequence, start=1):
        if "PlanePositionSequence" not in frame or "DerivationImageSequence" not in frame:
            continue
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        drawn_on = by_uid[source.ReferencedSOPInstanceUID].ImagePositionPatient
        lies = frame.PlanePositionSequence[0].ImagePositionPatient
        distance = np.linalg.norm(np.subtract(np.array(lies, float), np.array(drawn_on, float)))
        if distance > 1e-2:
            raise GeometryError(
                f"frame {number} of the segmentation lies {distance:.3g} mm away from its image"
            )


def _compare(images: Sequence[Dataset], image: sitk.Image) -> tuple[float, int]:
    """Largest deviation from `image` outside padding, and the voxels beyond the tolerance."""
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.shape != (len(images), images[0].Rows, images[0].Columns):
        raise GeometryError(
            f"the export has {len(images)} slices of {images[0].Rows} x {images[0].Columns}, the "
            f"image {voxels.shape}"
        )
    largest, beyond = 0.0, 0
    for k, dataset in enumerate(images):
        if "ImagePositionPatient" in dataset and not same_plane(dataset, image, k=k):
            raise GeometryError(f"slice {k} lies elsewhere than that of the image")
        rescale, padding = rescale_of(dataset), padding_of(dataset)
        stored = _stored(pydicom.dcmread(dataset.filename))
        error = np.abs(rescale.physical(stored) - voxels[k])
        if padding is not None:
            error[padding.contains(stored)] = 0
        largest = max(largest, float(error.max()))
        beyond += int((error > max(TOLERANCE, abs(rescale.slope) / 2 + 1e-3)).sum())
    return largest, beyond


def _stored(dataset: Dataset) -> np.ndarray:
    """Stored values (rows, columns), straight from the bytes."""
    kind = np.dtype("<i2" if dataset.PixelRepresentation else "<u2")
    stored = np.frombuffer(dataset.PixelData, kind).reshape(dataset.Rows, dataset.Columns)
    limits = Depth(dataset.BitsStored, bool(dataset.PixelRepresentation)).limits
    if stored.min() < limits[0] or stored.max() > limits[1]:
        raise ValueError(
            f"stored values {stored.min()} to {stored.max()} exceed {dataset.BitsStored} bits"
        )
    return stored
