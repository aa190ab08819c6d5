"""The marks that say: synthetic, made by this software, derived from these images.

They are no option: `require_marks` stands before every file that this package writes.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medsynth import __version__
from medsynth.dicom.job import ExportJob
from medsynth.marking import TEXT, WORD

MANUFACTURER = "MedSynthSlicer project"
MODEL = "medsynth"
SERIAL_NUMBER = f"medsynth-{__version__}"
COMMENT = TEXT
LONGEST_DERIVATION = 1024  # ST, PS3.5 table 6.2-1
SEGMENTATION_CLASS = UID("1.2.840.10008.5.1.4.1.1.66.4")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence (PS3.3 table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def mark(dataset: Dataset, *, job: ExportJob, derivation: str) -> tuple[str, ...]:
    """Write the marks of a synthetic object; warnings about what had to be shortened.

    CID 7203 (Image Derivation) has no concept for generative synthesis but is extensible: the code
    is the nearest concept of the standard. SyntheticData says the rest.
    """
    text, warnings = shortened(in_character_set(derivation, dataset))
    dataset.SyntheticData = "YES"
    dataset.DerivationDescription = text
    dataset.DerivationCodeSequence = [code("123110", "DCM", "Artificial Intelligence")]
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MODEL
    dataset.DeviceSerialNumber = SERIAL_NUMBER
    dataset.SoftwareVersions = __version__
    dataset.SeriesDescription = label(job, dataset)
    return warnings


def label(job: ExportJob, dataset: Dataset, *, suffix: str = "") -> str:
    """A series description for `dataset`: SYNTHETIC, the job's title, at most 64 characters."""
    words = (WORD, job.title, suffix)
    return line(" ".join(word for word in words if word), dataset)


def line(text: str, dataset: Dataset) -> str:
    """`text` as one LO value: at most 64 characters, no backslash (it separates values)."""
    one_line = " ".join(in_character_set(text, dataset).replace("\\", "/").split())
    return one_line[:64].strip()


def in_character_set(text: str, dataset: Dataset) -> str:
    """`text` as it can be written: anything in UTF-8, ASCII in the reference's own character set.

    In a kept study the character set is the reference's, whose names must stay as they are.
    """
    if dataset.get("SpecificCharacterSet") == "ISO_IR 192":
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(each for each in decomposed if not unicodedata.combining(each))
    return letters.encode("ascii", "replace").decode("ascii")


def shortened(derivation: str) -> tuple[str, tuple[str, ...]]:
    """The derivation within the 1024 characters of its value representation, and warnings.

    Raises:
        ValueError: there is no text; a derived image must say how it came about.
    """
    text = derivation.strip()
    if not text:
        raise ValueError("the derivation is empty; say in a sentence how the image was made")
    if len(text) <= LONGEST_DERIVATION:
        return text, ()
    warning = f"DerivationDescription shortened from {len(text)} to {LONGEST_DERIVATION} characters"
    return textwrap.shorten(text, LONGEST_DERIVATION, placeholder=" ..."), (warning,)


def contributing_equipment(
    job: ExportJob, header: Dataset | None, *, secret: Callable[[str], bool] = lambda text: False
) -> list[Dataset]:
    """Who made this: the synthesizer (109100) and, if there is a reference, its scanner (109101).

    Of the scanner only maker, model and software are named. Its serial number, station and
    institution would be device identity that PS3.15 removes (option 113109 to retain). What `secret`
    says names somebody is left out.
    """
    ours = Dataset()
    ours.PurposeOfReferenceCodeSequence = [code("109100", "DCM", "Synthesizing Equipment")]
    ours.Manufacturer, ours.ManufacturerModelName = MANUFACTURER, MODEL
    ours.DeviceSerialNumber, ours.SoftwareVersions = SERIAL_NUMBER, __version__
    ours.ContributionDateTime = job.created.strftime("%Y%m%d%H%M%S")
    ours.ContributionDescription = "Synthesized the image and its lesions"
    maker = str(header.get("Manufacturer") or "") if header is not None else ""
    if header is None or not maker or secret(maker):  # an item without its maker would not be valid
        return [ours]
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = [code("109101", "DCM", "Acquisition Equipment")]
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        if header.get(keyword) and not secret(str(header.get(keyword))):
            setattr(scanner, keyword, header.get(keyword))
    scanner.ContributionDescription = "Acquired the reference image"
    return [ours, scanner]


def refer_to_source(
    dataset: Dataset,
    header: Dataset,
    *,
    uids: Sequence[str],
    frame: int | None = None,
    same_grid: bool = True,
) -> None:
    """Name the one co-located slice of the reference, and list exactly it by series.

    `uids` are the series and SOP instance UID to write: the reference's own when the result stays
    in its study, their replacements when the patient is synthetic. Both lie in the study of
    `dataset`, so PS3.3 C.12.2 puts them into ReferencedSeriesSequence, not into
    StudiesContainingOtherReferencedInstancesSequence. `frame` counts from 1 and is given where the
    slice is one of several in its file; `same_grid` says that pixels lie where the source's lie.
    """
    series_uid, instance_uid = uids
    source = Dataset()
    source.ReferencedSOPClassUID = header.SOPClassUID
    source.ReferencedSOPInstanceUID = instance_uid
    source.PurposeOfReferenceCodeSequence = [
        code("121322", "DCM", "Source image for image processing operation")
    ]
    source.SpatialLocationsPreserved = "YES" if same_grid else "NO"
    if frame is not None:
        source.ReferencedFrameNumber = frame
    dataset.SourceImageSequence = [source]

    instance = Dataset()
    instance.ReferencedSOPClassUID = header.SOPClassUID
    instance.ReferencedSOPInstanceUID = instance_uid
    series = Dataset()
    series.SeriesInstanceUID = series_uid
    series.ReferencedInstanceSequence = [instance]
    dataset.ReferencedSeriesSequence = [series]


def missing_marks(dataset: Dataset) -> list[str]:
    """The marks that `dataset` should carry and does not, in words; empty when all are there."""
    is_image = dataset.get("SOPClassUID") != SEGMENTATION_CLASS
    purposes = {
        item.PurposeOfReferenceCodeSequence[0].CodeValue
        for item in dataset.get("ContributingEquipmentSequence", [])
        if item.get("PurposeOfReferenceCodeSequence")
    }
    image_type = list(dataset.get("ImageType") or [])
    checks = {
        "SyntheticData is not YES": dataset.get("SyntheticData") == "YES",
        f"SeriesDescription does not begin with {WORD}": str(
            dataset.get("SeriesDescription", "")
        ).startswith(WORD),
        "Manufacturer is not the synthesizer": dataset.get("Manufacturer") == MANUFACTURER,
        "no equipment with purpose 109100 (Synthesizing Equipment)": "109100" in purposes,
        "ImageType does not begin with DERIVED": image_type[:1] == ["DERIVED"],
    }
    if is_image:
        checks |= {
            "ImageType is not DERIVED\\SECONDARY": image_type[:2] == ["DERIVED", "SECONDARY"],
            f"ImageComments does not begin with {WORD}": str(
                dataset.get("ImageComments", "")
            ).startswith(WORD),
            "DerivationDescription is missing": bool(dataset.get("DerivationDescription")),
            "DerivationCodeSequence is missing": bool(dataset.get("DerivationCodeSequence")),
        }
    return [complaint for complaint, fine in checks.items() if not fine]


def require_marks(dataset: Dataset, *, where: str) -> None:
    """Refuse to go on with an object that does not say that it is synthetic.

    Raises:
        ValueError: at least one mark is missing; the message names `where` and each of them.
    """
    missing = missing_marks(dataset)
    if missing:
        raise ValueError(f"{where} is not marked as synthetic: {'; '.join(missing)}")
