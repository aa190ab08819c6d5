"""How far a run is, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def time_left(seconds: float | None) -> str:
    """`, about 2 min left`; nothing while it is unknown, or when it is over."""
    if not seconds:
        return ""
    if seconds < 90:
        return f", about {max(1, round(seconds))} s left"
    return f", about {round(seconds / 60)} min left"


def line(progress: Mapping[str, Any], prefix: str) -> tuple[str, int]:
    """What a command said last of its progress, and percent; -1 while that is unknown."""
    done, total = progress.get("done", 0), progress.get("total", 0)
    stage = progress.get("stage", "starting")
    if not total:
        return f"{prefix}{stage}", -1
    left = time_left(progress.get("seconds_left"))
    return f"{prefix}{stage} {done} of {total}{left}", round(100 * done / total)
