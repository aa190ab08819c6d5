"""Whose images these are: a synthetic patient of the job's own, or the reference's study."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from medsynth.dicom.deidentification import PixelIdentity
from medsynth.dicom.job import ExportJob
from medsynth.dicom.keeping import check_kept
from medsynth.dicom.provenance import WORD, line
from medsynth.errors import check_one_of

POLICIES = ("synthetic", "keep")

KEEP_WARNING = (
    "patient: keep puts synthetic images into the study of a real patient; make sure that nobody "
    "can take them for an examination"
)

# PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.7.2.3: what all objects of a study have in common.
PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    # Patient
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "QualityControlSubject",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "EthnicGroupCodeSequence",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # Clinical Trial Subject, Clinical Trial Study
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    # General Study
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "ConsultingPhysicianName",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "ProcedureCodeSequence",
    # Patient Study
    "AdmittingDiagnosesDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientBodyMassIndex",
    "MedicalAlerts",
    "Allergies",
    "SmokingStatus",
    "PregnancyStatus",
    "LastMenstrualDate",
    "PatientState",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "PatientSexNeutered",
)


# PS3.3: type 2, there even if empty.
REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)


def check_policy(patient: str, *, headers: Sequence[Dataset]) -> None:
    """Refuse an unknown policy, and one that cannot act on a reference of these headers.

    Raises:
        ValueError: `patient` is no policy; or it is keep and there is no DICOM reference, or it has
            attributes that DICOM forbids, see `check_kept`.
    """
    check_one_of("patient", patient, POLICIES)
    if patient == "keep" and not headers:
        raise ValueError(
            "patient: keep needs a DICOM reference whose study to stay in, and there is none; "
            "use patient: synthetic"
        )
    if patient == "keep":
        check_kept(headers, keywords=PATIENT_AND_STUDY)


def keep(dataset: Dataset, header: Dataset) -> None:
    """The patient and study attributes of the reference, value for value.

    Raises:
        ValueError: the reference does not say which study it belongs to.
    """
    if not header.get("StudyInstanceUID"):
        raise ValueError(
            "patient: keep needs a reference with a StudyInstanceUID, and this one has none; use "
            "patient: synthetic"
        )
    for keyword in PATIENT_AND_STUDY:
        if keyword in header:
            dataset[keyword] = _without_private(copy.deepcopy(header[keyword]))
    for keyword in REQUIRED:
        if keyword not in dataset:
            setattr(dataset, keyword, "")


def _without_private(element: DataElement) -> DataElement:
    if element.VR == "SQ":
        for item in element.value:
            item.remove_private_tags()
    return element


def synthesize(
    dataset: Dataset, *, job: ExportJob, header: Dataset | None, title: str, pixels: PixelIdentity
) -> None:
    """A patient and a study that exist only in this job (PS3.15 Basic Profile, 113100).

    With a reference the study is the replacement of its study UID: the series belongs to a
    de-identified copy of that study, in which the references to the (replaced) sources hold.
    """
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"{WORD}^{job.short_id}"
    dataset.PatientID = f"{WORD}-{job.short_id}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    pixels.declare(dataset)
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.StudyInstanceUID = source_uid(job, header, "StudyInstanceUID")
    dataset.StudyID = job.short_id
    dataset.StudyDate = job.created.strftime("%Y%m%d")
    dataset.StudyTime = job.created.strftime("%H%M%S")
    dataset.StudyDescription = line(f"{WORD} {title}", dataset)
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def source_uid(job: ExportJob, header: Dataset | None, keyword: str) -> str:
    """The replacement of the reference's UID `keyword`, or a new UID where there is none."""
    original = str(header.get(keyword, "")) if header is not None else ""
    return job.remapped(original) if original else job.uid(keyword)


def uid_policy(patient: str, *, job: ExportJob) -> Callable[[Dataset, str], str]:
    """How UIDs of the reference are written: as they are (keep) or replaced (synthetic)."""
    if patient == "synthetic":
        return lambda header, keyword: source_uid(job, header, keyword)
    return lambda header, keyword: str(header.get(keyword) or job.uid(keyword))
