"""Before a result leaves: are its pixels those of the run, or marked? A tag alone proves nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.images import read_image
from medsynth.pipeline.marks import digest_of
from medsynth.records.audit import IMAGE, folders_of_result
from medsynth.records.result import FILE as RECORD
from medsynth.verification.pixel_layer import look


def doubts(out: Path) -> str | None:
    """Why the pixels of what is sent could be another image's, in words; None: they are the run's.

    Results of versions that wrote no digests are not looked at.
    """
    record, home = _record(out)
    return _doubts_of(home / "dicom" / "image", record, home)


def image_doubts(out: Path) -> str | None:
    """As `doubts`, of OUT/image.nrrd."""
    record, home = _record(out)
    return _doubts_of(home / IMAGE, record, home)


def pixel_doubts(volume: np.ndarray, record: Mapping[str, Any]) -> str | None:
    """As `doubts`, of pixels (k, j, i) and what result.json says of them."""
    listed = record.get("digests")
    if not isinstance(listed, dict) or not listed:
        return None
    missing = set(listed.values()) - {digest_of(plane) for plane in volume}
    if not missing:
        return None
    found = look(volume)
    if found is not None and found.marked:
        return None
    return (
        f"{len(missing)} of {len(listed)} synthesized slices are not those that {RECORD} lists, and "
        "their pixels carry no mark"
    )


def _doubts_of(images: Path, record: Mapping[str, Any], home: Path) -> str | None:
    if not record.get("digests") or not images.exists():
        return None
    try:
        read = read_image(images)
    except ValueError as error:
        return f"the pixels in {images} cannot be compared with {home / RECORD} ({error})"
    what = pixel_doubts(sitk.GetArrayViewFromImage(read.image), record)
    return what and f"{images}: {what}; look at them before they are used"


def _record(out: Path) -> tuple[dict[str, Any], Path]:
    for home in folders_of_result(out.absolute()):
        try:
            record = json.loads((home / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            return record, home
    return {}, out
