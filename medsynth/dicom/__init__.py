"""DICOM out: image series and segmentations that say what they are."""

from medsynth.dicom.deidentification import check_burned_in, identifying_words, names_someone
from medsynth.dicom.image_classes import image_class
from medsynth.dicom.job import ExportJob
from medsynth.dicom.lesion_codes import Triplet, label_codes
from medsynth.dicom.projection import Projection, said_by
from medsynth.dicom.regridded import regridded
from medsynth.dicom.segmentation import LesionMask, write_segmentation
from medsynth.dicom.series import SeriesInfo, write_series
from medsynth.dicom.validation import Report, validate

__all__ = [
    "ExportJob",
    "LesionMask",
    "Projection",
    "Report",
    "SeriesInfo",
    "Triplet",
    "check_burned_in",
    "identifying_words",
    "image_class",
    "label_codes",
    "names_someone",
    "regridded",
    "said_by",
    "validate",
    "write_segmentation",
    "write_series",
]
