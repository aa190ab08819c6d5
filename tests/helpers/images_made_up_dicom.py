"""DICOM files made up by the tests, so that every trap can be set without real data."""

import warnings
from pathlib import Path

import highdicom
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SERIES, STUDY, FRAME = (f"1.2.826.0.1.3680043.10.511.{n}" for n in (1, 2, 3))


def made_up_slice(pixels: np.ndarray, position, **attributes) -> Dataset:
    """A CT slice with HU = stored - 1024; `attributes` add to it or, with None, remove."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = generate_uid()
    data.Modality = "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientName, data.PatientID, data.StudyID = "Made^Up", "1", "1"
    data.PatientBirthDate = data.StudyDate = data.AccessionNumber = data.StudyTime = ""
    data.PatientSex = data.ReferringPhysicianName = data.Manufacturer = ""
    data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = SERIES, STUDY, FRAME
    data.SeriesDescription = "made up"
    data.SeriesNumber = data.InstanceNumber = 1
    data.PositionReferenceIndicator = ""
    data.ImagePositionPatient = [round(float(p), 8) for p in position]
    data.ImageOrientationPatient = list(AXIAL)
    data.PixelSpacing = [0.8, 0.5]
    data.SliceThickness = 2.0
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for keyword, value in attributes.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    return data


def save(data: Dataset, path: Path) -> Path:
    data.file_meta.MediaStorageSOPClassUID = data.get("SOPClassUID", CTImageStorage)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def ramp(k: int, rows: int = 6, columns: int = 5) -> np.ndarray:
    """uint16 pixels that differ in every voxel of every slice k."""
    return (1000 * k + 10 * np.arange(rows)[:, None] + np.arange(columns)).astype(np.uint16)


def save_series(folder: Path, count: int = 5, *, step=(0.0, 0.0, 2.0), **attributes) -> list[Path]:
    """`count` slices `ramp(k)` at (1, 2, 3) + k * step mm, their file names in scrambled order."""
    paths = []
    for k in range(count):
        position = np.array([1.0, 2.0, 3.0]) + k * np.array(step)
        name = f"{(7 * k + 3) % 11:02d}_{k}.dcm"
        data = made_up_slice(ramp(k), position, InstanceNumber=count - k, **attributes)
        paths.append(save(data, folder / name))
    return paths


def save_segmentation(headers, masks: np.ndarray, path: Path, *, kind="BINARY", **options) -> Path:
    """A DICOM SEG of the slices of `headers`; `masks`: (k, j, i) or, for several segments, (k, j, i, n)."""
    code = CodedConcept("52988006", "SCT", "Lesion")
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number + 1,
            segment_label=f"lesion {number + 1}",
            segmented_property_category=code,
            segmented_property_type=code,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in range(masks.shape[-1] if masks.ndim == 4 else 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        highdicom.seg.Segmentation(
            source_images=headers,
            pixel_array=masks,
            segmentation_type=kind,
            segment_descriptions=segments,
            series_instance_uid="1.2.3.4.5",
            series_number=2,
            sop_instance_uid="1.2.3.4.5.1",
            instance_number=1,
            manufacturer="x",
            manufacturer_model_name="x",
            software_versions="1",
            device_serial_number="1",
            **options,
        ).save_as(path)
    return path
