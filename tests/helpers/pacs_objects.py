"""Small OUT folders for the PACS tests: marked synthetic CT slices and a SEG built from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

CT = str(CTImageStorage)
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def make_out(
    out: Path, count: int, *, size: int = 32, seg: bool = True, seed: int = 0, patient: str = "SYN"
) -> Path:
    """`out/dicom/image` with `count` CT slices of `size` x `size`, and one SEG on the first two."""
    rng = np.random.default_rng(seed)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    (out / "dicom" / "image").mkdir(parents=True)
    first: list[Dataset] = []
    for index in range(count):
        slice_ = _slice(index, size, rng, patient)
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID = study, series
        slice_.FrameOfReferenceUID = frame
        slice_.save_as(out / "dicom/image" / f"{index + 1:04d}.dcm", enforce_file_format=True)
        first += [slice_] if index < 2 else []
    if seg:
        (out / "dicom" / "seg").mkdir()
        _segmentation(first, size).save_as(out / "dicom/seg/seg.dcm", enforce_file_format=True)
    return out


def _slice(index: int, size: int, rng: np.random.Generator, patient: str) -> Dataset:
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = CT
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ct.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ct.Modality, ct.SyntheticData = "CT", "YES"
    ct.PatientName, ct.PatientID = f"SYNTHETIC^{patient}", patient
    ct.PatientBirthDate = ct.PatientSex = ct.AccessionNumber = ct.StudyID = ""
    ct.StudyDate, ct.StudyTime, ct.ReferringPhysicianName = "20260101", "120000", ""
    ct.Manufacturer, ct.SeriesDescription = "medsynth", "SYNTHETIC chest"
    ct.SeriesNumber, ct.InstanceNumber = 9001, index + 1
    ct.ImagePositionPatient = [0, 0, index]
    ct.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ct.PixelSpacing, ct.SliceThickness = [1, 1], 1
    ct.PositionReferenceIndicator = ""
    ct.Rows = ct.Columns = size
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 16, 15, 1
    ct.RescaleIntercept, ct.RescaleSlope = 0, 1
    ct.PixelData = rng.integers(-1000, 1000, (size, size), dtype=np.int16).tobytes()
    return ct


def _segmentation(slices: list[Dataset], size: int) -> Dataset:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    mask = np.zeros((len(slices), size, size), bool)
    mask[:, size // 4 : size // 2, size // 4 : size // 2] = True
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="nodule",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            "test", codes.DCM.ArtificialIntelligence, "1"
        ),
    )
    segmentation = hd.seg.Segmentation(
        source_images=slices,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=9002,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="medsynth",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        series_description="SYNTHETIC nodule",
    )
    segmentation.SyntheticData = "YES"
    return segmentation


def files_of(out: Path) -> list[Path]:
    return sorted((out / "dicom").rglob("*.dcm"))


def pixels_of(paths: list[Path]) -> dict[str, str]:
    """Hash of the pixel data by SOP Instance UID."""
    return dict(pixels_in(dcmread(path)) for path in paths)


def pixels_in(dataset: Dataset) -> tuple[str, str]:
    # PS3.5 8.1.1: the value is padded to even length, which servers may do anew.
    return str(dataset.SOPInstanceUID), hashlib.sha256(bytes(dataset.PixelData)).hexdigest()
