"""What one layer says of an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one layer says: `synthetic` True, or False for "nothing found"; None: it could not tell."""

    layer: str
    synthetic: bool | None
    words: str
