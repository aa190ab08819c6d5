"""NIfTI files, volumes or single slices, in folders of patients or all in one folder."""

from __future__ import annotations

import re
from pathlib import Path

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts.csv_files import held
from medsynth.datasets.settings import Data
from medsynth.images.files import NIFTI

# Words in a file's name that say it is not an image but what was drawn on one.
MASK = re.compile(
    r"(?:^|[_\-.])(seg|mask|label|labels|segmentation|roi)(?:$|[_\-.])", re.IGNORECASE
)
BIDS = re.compile(r"(?:^|/)(sub-[0-9A-Za-z]+)")


def read_nifti_tree(root: Path, data: Data) -> list[DataEntry]:
    """Every image; the patient is, in this order: what `data.patient_pattern` finds in its path, the
    `sub-XX` of BIDS, its first folder, or its name up to the first `_`."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name.endswith(NIFTI))
    masks = [p for p in files if MASK.search(stem(p))]
    images = [p for p in files if p not in set(masks)]
    if not images:
        raise ValueError(
            f"layout 'nifti' expects images (*.nii, *.nii.gz) in {root} or folders below it; it holds "
            f"{held(root)}"
        )
    pattern = _compiled(data.patient_pattern)
    return [
        DataEntry(
            path=path,
            patient=patient_of(path.relative_to(root).as_posix(), pattern),
            name=path.relative_to(root).as_posix(),
            masks=tuple(m for m in masks if m.parent == path.parent and _drawn_on(m, path)),
        )
        for path in images
    ]


def patient_of(name: str, pattern: re.Pattern[str] | None) -> str:
    """The patient of the file `name`, its path below the root.

    Raises:
        ValueError: the recipe's pattern does not fit this file.
    """
    if pattern is not None:
        found = pattern.search(name)
        if not found or not found.group(1):
            raise ValueError(f"data.patient_pattern {pattern.pattern!r} finds no patient in {name}")
        return found.group(1)
    if bids := BIDS.search(name):
        return bids.group(1)
    folder, slash, _ = name.partition("/")
    return folder if slash else stem(Path(name)).partition("_")[0]


def stem(path: Path) -> str:
    """The name without .nii or .nii.gz."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _drawn_on(mask: Path, image: Path) -> bool:
    """p1_seg and mask_p1 are drawn on p1, and on p1_t1 and p1_t2 alike; seg on all of its folder."""
    words = MASK.split(stem(mask))
    subject = words[0] or words[-1]
    return not subject or stem(image) == subject or stem(image).startswith(f"{subject}_")


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"data.patient_pattern {pattern!r}: {error}") from None
    if compiled.groups < 1:
        raise ValueError(f"data.patient_pattern {pattern!r} needs a group, as (sub-[0-9]+)")
    return compiled
