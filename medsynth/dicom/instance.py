"""One slice as a data set, module by module; the pixels are put in by `series`."""

from __future__ import annotations

from dataclasses import dataclass

import SimpleITK as sitk
from pydicom.dataset import Dataset

from medsynth.dicom import patient as patients
from medsynth.dicom.copying import copy_attributes, drop_descriptions
from medsynth.dicom.deidentification import PixelIdentity, identifying_words, names_someone
from medsynth.dicom.geometry import ds, write_plane
from medsynth.dicom.image_classes import REGIONS, UNPAIRED, ImageClass
from medsynth.dicom.job import ExportJob
from medsynth.dicom.pixels import Rescale
from medsynth.dicom.projection import Projection
from medsynth.dicom.provenance import COMMENT, contributing_equipment, mark, refer_to_source
from medsynth.dicom.storage import is_lossy, photometric_of
from medsynth.domains import Preset

IMAGE_SERIES_OFFSET = 9000
# Free text in the standard; other words may say anything.
CONTRAST_ROUTES = frozenset(
    ("IV", "INTRAVENOUS", "ORAL", "PO", "RECTAL", "IA", "INTRA-ARTERIAL", "INTRATHECAL")
)


@dataclass(frozen=True)
class Export:
    """What all slices of one series have in common.

    `frames_of_one_file`: the reference is a multi-frame object, and the InstanceNumber of each
    header is its frame number. `same_grid`: pixels lie where the reference's lie.
    `pixel_size_known` is False where the image's spacing is an assumption, None where that is the
    case if it is 1 mm.
    """

    image: sitk.Image
    row: ImageClass
    preset: Preset
    job: ExportJob
    derivation: str
    patient: str
    projection: Projection | None = None
    frames_of_one_file: bool = False
    same_grid: bool = True
    pixel_size_known: bool | None = None
    pixels: PixelIdentity = PixelIdentity()

    def secret(self, header: Dataset | None) -> frozenset[str]:
        """Words that must not leave with a synthetic patient; in a kept study they stand anyway."""
        if header is None or self.patient == "keep":
            return frozenset()
        return identifying_words(header)


def slice_dataset(
    export: Export, k: int, *, header: Dataset | None, rescale: Rescale
) -> tuple[Dataset, list[str]]:
    """Slice `k` without its pixels, and warnings about what could not be taken over."""
    row, job = export.row, export.job
    dataset = Dataset()
    _put_patient(dataset, export, header)
    _put_series(dataset, export, header)
    warnings = list(mark(dataset, job=job, derivation=export.derivation))
    dataset.SOPClassUID = row.sop_class
    dataset.SOPInstanceUID = job.uid("image", k)
    dataset.InstanceNumber = k + 1
    dataset.InstanceCreationDate = dataset.ContentDate = job.created.strftime("%Y%m%d")
    dataset.InstanceCreationTime = dataset.ContentTime = job.created.strftime("%H%M%S")
    dataset.ImageType = ["DERIVED", "SECONDARY", *row.image_type]
    dataset.ImageComments = COMMENT
    secret = export.secret(header)
    dataset.ContributingEquipmentSequence = contributing_equipment(
        job, header, secret=lambda text: names_someone(text, secret)
    )
    left_out = _put_acquisition(dataset, export, header)
    warnings += [
        f"{keyword} of the reference is not valid, or names somebody, and was left out"
        for keyword in left_out
    ]
    warnings += _put_geometry(dataset, export, header, k=k)
    _put_rescale(dataset, export, header, rescale=rescale)
    _put_windows(dataset, export, header)
    _put_lossy(dataset, header, lossy_source=job.lossy_source)
    if header is not None:
        uid = patients.uid_policy(export.patient, job=job)
        sources = (uid(header, "SeriesInstanceUID"), uid(header, "SOPInstanceUID"))
        frame = header.InstanceNumber if export.frames_of_one_file else None
        refer_to_source(dataset, header, uids=sources, frame=frame, same_grid=export.same_grid)
    return dataset, warnings


def _put_patient(dataset: Dataset, export: Export, header: Dataset | None) -> None:
    if export.patient == "keep" and header is not None:
        patients.keep(dataset, header)
    else:
        patients.synthesize(
            dataset,
            job=export.job,
            header=header,
            title=export.preset.title,
            pixels=export.pixels,
        )


def _put_series(dataset: Dataset, export: Export, header: Dataset | None) -> None:
    original = header.get("SeriesNumber") if header is not None else None
    dataset.Modality = export.row.modality
    dataset.SeriesInstanceUID = export.job.uid("series", "image")
    dataset.SeriesNumber = IMAGE_SERIES_OFFSET + int(original or 1)
    dataset.SeriesDate = export.job.created.strftime("%Y%m%d")
    dataset.SeriesTime = export.job.created.strftime("%H%M%S")


def _put_acquisition(dataset: Dataset, export: Export, header: Dataset | None) -> list[str]:
    row, left_out = export.row, []
    if header is not None:
        left_out = copy_attributes(
            dataset, header, keywords=row.copied, secret=export.secret(header)
        )
        if export.patient == "synthetic":
            left_out += drop_descriptions(dataset)
        left_out += _keep_terms(dataset, row)
        if header.get("ContrastBolusAgent"):
            # PS3.15 table E.1-1: Z. That there was contrast is kept, which one is not.
            kept = export.patient == "keep"
            dataset.ContrastBolusAgent = header.ContrastBolusAgent if kept else ""
            left_out += copy_attributes(dataset, header, keywords=("ContrastBolusRoute",))
            route = str(dataset.get("ContrastBolusRoute") or "")
            if route and not kept and route.upper() not in CONTRAST_ROUTES:
                left_out.append("ContrastBolusRoute")
                del dataset.ContrastBolusRoute
    if row.volumetric and not _has_side(dataset):
        # PS3.3 C.7.3.1: a paired body part without a side, LUNG for a whole thorax, is not valid.
        dataset.pop("BodyPartExamined", None)
        left_out += ["BodyPartExamined"] if header is not None else []
    if "BodyPartExamined" not in dataset and export.preset.body_part:
        dataset.BodyPartExamined = export.preset.body_part
    if header is None and not row.volumetric:
        (export.projection or Projection()).write(dataset, row)
    elif row.modality == "MG" and header is not None:
        (export.projection or Projection()).complete(dataset, header)
    if "AnatomicRegionSequence" in row.completed:
        _name_region(dataset)
    if export.patient == "synthetic":
        export.pixels.describe(dataset)
    for keyword, value in row.completed.items():
        if keyword not in dataset:
            setattr(dataset, keyword, value)
    if "PresentationIntentType" in row.completed:
        inverse = photometric_of(header) == "MONOCHROME1"
        dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    return left_out


def _name_region(dataset: Dataset) -> None:
    """The coded region that BodyPartExamined stands for, where only the latter is known.

    PS3.3 10.5: it may be empty only if the region is not known; a body part that has no code here
    is therefore left out.
    """
    part = dataset.get("BodyPartExamined")
    if not part or "AnatomicRegionSequence" in dataset:
        return
    if part in REGIONS:
        dataset.AnatomicRegionSequence = [REGIONS[part]]
    else:
        del dataset.BodyPartExamined


def _has_side(dataset: Dataset) -> bool:
    """Whether the body part is unpaired, or the side is named, or there is no body part at all."""
    part = dataset.get("BodyPartExamined")
    return not part or part in UNPAIRED or dataset.get("Laterality") in ("L", "R")


def _keep_terms(dataset: Dataset, row: ImageClass) -> list[str]:
    """Take the values that the standard does not know out of `row.terms`; which attributes had any."""
    left_out = []
    for keyword, terms in row.terms.items():
        if keyword not in dataset:
            continue
        element = dataset[keyword]
        values = [element.value] if element.VM == 1 else list(element.value)
        known = [value for value in values if value in terms]
        if known == values:
            continue
        left_out.append(keyword)
        del dataset[keyword]
        if known:
            setattr(dataset, keyword, known)
    return left_out


def _put_geometry(dataset: Dataset, export: Export, header: Dataset | None, *, k: int) -> list[str]:
    if export.row.volumetric:
        uid = patients.uid_policy(export.patient, job=export.job)
        dataset.FrameOfReferenceUID = (
            uid(header, "FrameOfReferenceUID")
            if header is not None
            else export.job.uid("FrameOfReferenceUID")
        )
        write_plane(dataset, export.image, k=k)
        return []
    required = "PresentationIntentType" in export.row.completed
    if "ImagerPixelSpacing" in dataset or ("PixelSpacing" in dataset and not required):
        return []
    spacing_x, spacing_y, _ = export.image.GetSpacing()
    # Pictures and radiographs that do not know their spacing are read with 1 mm.
    known = export.pixel_size_known
    if known is None:
        known = (spacing_x, spacing_y) != (1, 1)
    if known or required:
        dataset.ImagerPixelSpacing = ds([spacing_y, spacing_x])
    if required and not known:
        return [
            f"the pixel spacing is not known; {export.row.modality} requires one, {spacing_x:g} mm "
            "is written"
        ]
    return []


def _put_rescale(
    dataset: Dataset, export: Export, header: Dataset | None, *, rescale: Rescale
) -> None:
    row = export.row
    if row.rescale_type is None and (rescale.slope, rescale.intercept) == (1, 0):
        return
    dataset.RescaleSlope = ds(rescale.slope)[0]
    dataset.RescaleIntercept = ds(rescale.intercept)[0]
    given = header.get("RescaleType") if header is not None else None
    if row.rescale_type == "HU":
        # PS3.3 C.8.2.1: a CT in other units than HU has to say so; US is "unspecified".
        dataset.RescaleType = "US" if export.preset.in_display_units else "HU"
    else:
        dataset.RescaleType = given or row.rescale_type or "US"


def _put_windows(dataset: Dataset, export: Export, header: Dataset | None) -> None:
    if header is not None and not export.row.preset_windows:
        copy_attributes(
            dataset,
            header,
            keywords=("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
            secret=export.secret(header),
        )
        if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
            return
    windows = export.preset.windows
    dataset.WindowCenter = ds([window.center for window in windows])
    dataset.WindowWidth = ds([window.width for window in windows])
    dataset.WindowCenterWidthExplanation = [window.name for window in windows]


def _put_lossy(dataset: Dataset, header: Dataset | None, *, lossy_source: bool) -> None:
    if not (lossy_source or is_lossy(header)):
        return
    dataset.LossyImageCompression = "01"  # PS3.3 C.7.6.1.1.5: once lossy, always lossy
    if header is not None:
        keywords = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
        copy_attributes(dataset, header, keywords=keywords)
