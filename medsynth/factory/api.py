"""`medsynth.dataset`: a plan in, a folder of annotated images out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth.events import Listener, ignore
from medsynth.factory.engine import Summary, Where, make
from medsynth.factory.parse import load_plan, parse


def dataset(
    plan: Mapping[str, Any] | Path | str,
    out: Path | str,
    *,
    workers: int = 0,
    ray: str | None = None,
    only: str | int | None = None,
    limit: int | None = None,
    listener: Listener = ignore,
) -> Summary:
    """The set that a plan asks for, in the folder `out`; what is there already stays.

    Args:
        plan: its file, or its keys (relative paths start at the current folder).
        out: the folder of the set.
        workers: processes on this computer that make the images; 0: this one.
        ray: instead, a Ray cluster: `auto` or its address.
        only: make this one image alone.
        limit: make at most so many images now.
        listener: gets the events of progress and warnings.

    Raises:
        ValueError, OSError, CheckpointError: as `medsynth.factory.engine.make`.
    """
    asked = parse(plan) if isinstance(plan, Mapping) else load_plan(plan)
    number = None if only is None else str(only)
    where = Where(workers=workers, ray=ray)
    return make(asked, out, where=where, only=number, limit=limit, listener=listener)
