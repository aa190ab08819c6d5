"""What to synthesize (`Request`), and what came out (`Result`); read, checked, resolved, written."""

from medsynth.records.result import (
    Checkpoint,
    ExistingLabel,
    GuidanceError,
    LesionMeasurement,
    Result,
    software_versions,
)
from medsynth.request.files import load_request, read_mapping, to_dict, write
from medsynth.request.model import Anatomy, Labels, Pathology, Phantom, Request, Source, Stop
from medsynth.request.parse import parse

__all__ = [
    "Anatomy",
    "Checkpoint",
    "ExistingLabel",
    "GuidanceError",
    "Labels",
    "LesionMeasurement",
    "Pathology",
    "Phantom",
    "Request",
    "Result",
    "Source",
    "Stop",
    "load_request",
    "parse",
    "read_mapping",
    "software_versions",
    "to_dict",
    "write",
]
