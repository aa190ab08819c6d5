"""Systems that make whole images by themselves, each one file that declares its `SYSTEM`.

Where guided synthesis follows a reference slice by slice, these are asked for images by words, by a
class, or by nothing at all. A file's names are read without torch; what makes images is loaded when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsynth.generators.systems.base import (
    Accepts,
    GeneratedImage,
    ImageRequest,
    ImageSystem,
    SystemEntry,
)
from medsynth.registry import Imported

if TYPE_CHECKING:
    from pathlib import Path

    from medsynth.events import Listener

__all__ = [
    "SYSTEMS",
    "Accepts",
    "GeneratedImage",
    "ImageRequest",
    "ImageSystem",
    "SystemEntry",
    "discover",
    "get",
    "load",
]

SYSTEMS: Imported[SystemEntry] = Imported(__name__, "SYSTEM", what="system")
discover, get = SYSTEMS.discover, SYSTEMS.named


def load(request: ImageRequest, *, work: Path, listener: Listener) -> ImageSystem:
    """The system that a request asks for, ready to make images; `work` is a folder that it may keep.

    Raises:
        ValueError: it cannot follow the request (the message says what it can), an option or a word
            cannot be used, or a cost is above its limit.
        PermissionError: there is no key for its service.
        MissingExtra: its library is not installed.
        CheckpointError: its weights are missing or damaged.
    """
    entry = get(request.system)
    entry.accepts.check(request)
    return entry.load(request, work=work, listener=listener)


discover()
