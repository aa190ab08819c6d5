"""What to synthesize (`Request`): read, checked, resolved, written."""

from medsynth.request.files import load_request, read_mapping, shown_paths, to_dict, write
from medsynth.request.model import Anatomy, Labels, Pathology, Phantom, Request, Source, Stop
from medsynth.request.parse import parse

__all__ = [
    "Anatomy",
    "Labels",
    "Pathology",
    "Phantom",
    "Request",
    "Source",
    "Stop",
    "load_request",
    "parse",
    "read_mapping",
    "shown_paths",
    "to_dict",
    "write",
]
