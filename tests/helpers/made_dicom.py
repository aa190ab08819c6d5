"""A small CT study made up for tests, with everything in it that must not reach the output."""

from datetime import datetime

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from medsynth.dicom import ExportJob, write_series
from medsynth.domains import get

JOB = ExportJob("test-job", datetime(2026, 3, 4, 5, 6, 7), title="Lung CT, nodule")
DERIVATION = "Made for a test."
SHAPE = (5, 12, 16)  # k, j, i


def oblique_image(
    values: np.ndarray, *, spacing: tuple[float, float, float] = (0.7, 1.1, 2.3)
) -> sitk.Image:
    """`values` (k, j, i) on an oblique, anisotropic grid away from the origin."""
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin((-123.456789, 33.25, 1 / 3))
    image.SetDirection(sitk.VersorTransform((0.3, 0.5, 0.2), 0.7).GetMatrix())
    return image


def hounsfield(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Whole Hounsfield units between air and bone, float32."""
    return np.random.default_rng(seed).integers(-1000, 1500, shape).astype(np.float32)


def reference_headers(image: sitk.Image, **changes: object) -> list[Dataset]:
    """One CT header per slice of `image`, with private, identifying and stale attributes.

    Slopes differ from slice to slice: slice k has slope 1 and intercept -1024 + k.
    """
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    headers = []
    for k in range(image.GetDepth()):
        header = Dataset()
        header.SpecificCharacterSet = "ISO_IR 100"
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        header.SOPInstanceUID = generate_uid()
        header.StudyInstanceUID, header.SeriesInstanceUID = study, series
        header.FrameOfReferenceUID = frame
        header.Modality, header.SeriesNumber, header.InstanceNumber = "CT", 7, 200 - k
        _identify(header)
        _stale(header)
        header.Rows, header.Columns = image.GetHeight(), image.GetWidth()
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
        header.PixelRepresentation = 0
        header.RescaleSlope, header.RescaleIntercept = "1", str(-1024 + k)
        header.WindowCenter, header.WindowWidth = ["40"], ["400"]
        header.WindowCenterWidthExplanation = ["WINDOW1", "WINDOW2"]
        header.KVP, header.ConvolutionKernel, header.SliceThickness = "120", "B41f", "2.3"
        header.XRayTubeCurrent, header.PatientPosition = "284", "HFS"
        header.BodyPartExamined = "CHEST"
        header.DistanceSourceToDetector = "1099.3100585938"
        header.ContrastBolusAgent, header.ContrastBolusRoute = "Ultravist 300", "IV"
        for keyword, value in changes.items():
            setattr(header, keyword, value)
        headers.append(header)
    return headers


def _identify(header: Dataset) -> None:
    """Who and where: nothing of it may appear when the patient is synthetic."""
    header.PatientName, header.PatientID = "Muster^Erika", "PID-4711"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19620131", "F", "064Y"
    header.EthnicGroup = "01"
    header.StudyDate, header.StudyTime = "20190102", "101112"
    header.AccessionNumber, header.StudyID = "ACC12345", "S77"
    header.StudyDescription = "CT Thorax"
    header.ReferringPhysicianName = "Arzt^Anna"
    header.InstitutionName, header.StationName = "Klinikum Nirgendwo", "CT0815"
    header.DeviceSerialNumber = "SN-57204"
    header.Manufacturer, header.ManufacturerModelName = "SCANCORP", "Scan 40"
    header.SoftwareVersions = "VA1"
    header.OperatorsName = "Mueller^M"
    header.ProtocolName = "Thorax Frau Muster"


def _stale(header: Dataset) -> None:
    """True of the reference's pixels or examination, not of ours."""
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    header.SmallestImagePixelValue, header.LargestImagePixelValue = 0, 4095
    header.IrradiationEventUID = generate_uid()
    header.CTDIvol = 10.6
    request = Dataset()
    request.ScheduledProcedureStepID = "STEP1"
    header.RequestAttributesSequence = Sequence([request])
    header.RequestedProcedureDescription = "CT Thorax"
    header.PerformedProcedureStepStartDate = "20190102"
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    header.IconImageSequence = Sequence([icon])
    header.DigitalSignaturesSequence = Sequence([Dataset()])
    header.add_new((0x6000, 0x0010), "US", 4)
    header.add_new((0x6000, 0x3000), "OW", b"\0\0")
    block = header.private_block(0x0019, "SCANCORP DUMMY", create=True)
    block.add_new(0x01, "LO", "Erika Muster")


def write_made(folder, image, **options):
    """The series of `image` in folder/image, as a lung CT unless `options` say otherwise."""
    options = {"preset": get("lung_ct"), "job": JOB, "derivation": DERIVATION, **options}
    return write_series(image, folder / "image", **options)
