"""What to synthesize (`Request`), and what came out (`Result`); read, checked, resolved, written."""

from medsynth.request.files import load_request, read_mapping, to_dict, write
from medsynth.request.model import Anatomy, Pathology, Phantom, Request, Source, Stop
from medsynth.request.parse import parse
from medsynth.request.result import (
    Checkpoint,
    GuidanceError,
    LesionMeasurement,
    Result,
    software_versions,
)

__all__ = [
    "Anatomy",
    "Checkpoint",
    "GuidanceError",
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
