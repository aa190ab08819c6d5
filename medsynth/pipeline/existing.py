"""Labels that the reference already has, on the grid of the anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth import dicom
from medsynth.errors import GeometryError
from medsynth.images import Label, fraction_outside, read_labels
from medsynth.pipeline.preprocessing import PreprocessedReference, on_pixels
from medsynth.request import Labels, Request

UNLABELED = (
    "findings that the reference already has are in no mask, and a network trained on this result "
    "would learn that they are none; give their masks as anatomy.labels, or write "
    "anatomy.labels: [] where there are none"
)


@dataclass(frozen=True, eq=False)
class Existing:
    """One label of the reference: `mask` is uint8 0/1 on the anatomy's grid.

    `coded`: category and type as (value, scheme, meaning), where the file or the request says them.
    """

    name: str
    mask: sitk.Image
    source: str
    value: int
    coded: tuple[dicom.Triplet | None, dicom.Triplet | None] = (None, None)
    overlaps: tuple[str, ...] = field(default=())


def existing_labels(
    request: Request,
    preprocessed: PreprocessedReference,
    *,
    read: Callable[[Any], list[Label]] = read_labels,
) -> tuple[list[Existing], list[str]]:
    """The labels that a request names, brought onto the anatomy's grid, and warnings.

    `read`: gives the labels of a file, where the caller has read it before.

    Raises:
        ValueError: a file without labels, or a name for a value that it does not have.
        GeometryError: a label lies outside the anatomy.
    """
    if request.anatomy.labels is None:
        return [], [UNLABELED] if request.anatomy.image is not None else []
    found: list[Existing] = []
    notes: list[str] = []
    secret = frozenset().union(*map(dicom.identifying_words, preprocessed.reference.headers[:1]))
    for index, entry in enumerate(request.anatomy.labels):
        at = f"anatomy.labels[{index}]"
        try:
            labels = read(entry.file)
        except (ValueError, OSError) as error:
            raise type(error)(f"{at}: {error}") from None
        _check_values(entry, labels, at)
        for label in labels:
            code = entry.codes.get(label.value)
            for key, said in (("names", entry.names.get(label.value)), ("codes", code and code[2])):
                if request.patient == "synthetic" and said and dicom.names_someone(said, secret):
                    raise ValueError(
                        f"{at}.{key}.{label.value}: holds a name or an identifier of the reference's "
                        "header, which a synthetic patient must not have; choose another word"
                    )
            words = entry.names.get(label.value) or label.name or f"finding {len(found) + 1}"
            if request.patient == "synthetic" and dicom.names_someone(words, secret):
                notes.append(
                    f"{at}: the name of label {label.value} names somebody and is left out"
                )
                words = f"finding {len(found) + 1}"
            if request.anatomy.slice is not None and not _reaches(label, entry.file, preprocessed):
                continue
            mask, note = _on_grid(
                label, entry.file, preprocessed, f"{at}: label {label.value} ({words})"
            )
            notes += note
            category, kind = (
                None if each and dicom.names_someone(each[2], secret) else each
                for each in (label.category, label.type)
            )
            if label.value in entry.codes:
                category, kind = None, entry.codes[label.value]
            found.append(
                Existing(
                    words,
                    mask,
                    getattr(entry.file, "name", "in memory"),
                    label.value,
                    (category, kind),
                )
            )
    return found, notes


def overlaps(existing: Sequence[Existing], lesions: Sequence[sitk.Image]) -> list[str]:
    """Warnings where a new lesion (mask) lies on an existing label."""
    notes = []
    for index, lesion in enumerate(lesions):
        new = sitk.GetArrayViewFromImage(lesion) > 0
        for label in existing:
            old = sitk.GetArrayViewFromImage(label.mask) > 0
            shared = int((new & old).sum())
            if shared:
                notes.append(
                    f"pathologies[{index}] overlaps the existing label {label.name!r} in {shared} "
                    f"voxels ({shared / old.sum():.0%} of the label); both masks hold them"
                )
    return notes


def too_small(
    request: Request, existing: Sequence[Existing], change: dict[int, float | np.ndarray]
) -> list[str]:
    """Warnings of labels that synthesis need not keep: smaller than the anatomy's factor."""
    factor, notes = request.anatomy.factor, []
    for label in existing:
        mask = sitk.GetArrayViewFromImage(label.mask) > 0
        drawn = [k for k, blend in change.items() if mask[k].any() and _acts(blend, mask[k])]
        if not drawn:
            continue
        rows, columns = (
            np.ptp(np.flatnonzero(mask.any(axis=axes))) + 1 for axes in ((0, 2), (0, 1))
        )
        if max(rows, columns) < factor:
            notes.append(
                f"the existing label {label.name!r} is {columns} x {rows} pixels and lies in slices "
                f"that are synthesized with anatomy.factor {factor}: what it marks may look different "
                "or be gone; choose a smaller factor, or background: keep"
            )
    return notes


def _acts(blend: float | np.ndarray, mask: np.ndarray) -> bool:
    return bool((np.broadcast_to(blend, mask.shape)[mask] > 0).any())


def _check_values(entry: Labels, labels: Sequence[Label], at: str) -> None:
    there = {label.value for label in labels}
    for key, said in (("names", entry.names), ("codes", entry.codes)):
        missing = sorted(set(said) - there)
        if missing:
            raise ValueError(
                f"{at}.{key}: {entry.file} has no label {missing[0]}; it has "
                f"{', '.join(map(str, sorted(there)))}"
            )


def _reaches(label: Label, file: Path, preprocessed: PreprocessedReference) -> bool:
    """Whether a label of the volume is marked in the one slice of it that is the anatomy."""
    grid = preprocessed.reference.image
    found = sitk.Resample(
        on_pixels(label.mask, file, preprocessed),
        grid,
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        0,
    )
    return bool(sitk.GetArrayViewFromImage(found).any())


def _on_grid(
    label: Label, file: Path, preprocessed: PreprocessedReference, at: str
) -> tuple[sitk.Image, list[str]]:
    """By nearest neighbor: labels are not blended."""
    mask, grid = on_pixels(label.mask, file, preprocessed), preprocessed.reference.image
    cut = fraction_outside(mask, grid)
    if cut == 1:
        raise GeometryError(
            f"{at} lies outside the anatomy; was it drawn on another image, or saved without its "
            "place in the patient?"
        )
    found = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    if not sitk.GetArrayViewFromImage(found).any():
        raise GeometryError(
            f"{at} is too small for the anatomy's voxels of "
            f"{' x '.join(f'{s:.3g}' for s in grid.GetSpacing())} mm: none is marked; leave it out"
        )
    sliced = preprocessed.reference.image.GetDepth() == 1 and label.mask.GetDepth() > 1
    lost = cut and not sliced
    return found, [f"{at}: {cut:.0%} of it lies outside the anatomy and is lost"] if lost else []
