"""DICOM out: image series and segmentations that say what they are."""

from medsynth.dicom.deidentification import check_burned_in
from medsynth.dicom.image_classes import image_class
from medsynth.dicom.job import Job
from medsynth.dicom.projection import Projection, said_by
from medsynth.dicom.regridded import regridded
from medsynth.dicom.segmentation import LesionMask, write_segmentation
from medsynth.dicom.series import SeriesInfo, write_series
from medsynth.dicom.validation import Report, validate

__all__ = [
    "Job",
    "LesionMask",
    "Projection",
    "Report",
    "SeriesInfo",
    "check_burned_in",
    "image_class",
    "regridded",
    "said_by",
    "validate",
    "write_segmentation",
    "write_series",
]
