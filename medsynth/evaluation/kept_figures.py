"""Figures that were measured already, so that a stopped comparison goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medsynth import __version__
from medsynth.storage.files import replace_text


class KeptFigures:
    """Figures by the key of what they depend on; they hold no image.

    Args:
        file: where they stay, written after each; None: in memory. A damaged file is begun anew.
    """

    def __init__(self, file: Path | None = None):
        self.file = file
        self.found: dict[str, Any] = {}
        if file is not None and file.exists():
            try:
                self.found = dict(json.loads(file.read_text(encoding="utf-8")))
            except (ValueError, TypeError):
                self.found = {}

    def __contains__(self, key: str) -> bool:
        return key in self.found

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, for JSON; made where it is not kept yet."""
        if key not in self.found:
            self.found[key] = make()
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                replace_text(self.file, json.dumps(self.found) + "\n")
        return self.found[key]


def key_of(*parts: object) -> str:
    """Identifies what a figure depends on: arrays by their bytes, all else by its representation."""
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()[:32]
