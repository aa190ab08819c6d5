"""The images of a utility study in memory: squares of gray values with class, patient and origin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth import domains
from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts import read_entries
from medsynth.datasets.layouts.table import PARTS
from medsynth.datasets.lesion_masks import lesion_mask
from medsynth.datasets.pixels import read_images, says_its_pixel_size
from medsynth.datasets.settings import Data
from medsynth.datasets.splits import matches
from medsynth.domains import Preset
from medsynth.events import Listener, Stage, ignore
from medsynth.images import ReferenceImage, to_display_units
from medsynth.studies.utility.crops import CropPlace, cut_out, find_places
from medsynth.studies.utility.made_sets import SetImage, read_set
from medsynth.studies.utility.study import UtilitySource, UtilityStudy


@dataclass(frozen=True)
class ImageFact:
    """What is known of one image.

    `references` are the patients whose images a synthetic one was made from; None: nobody says.
    `lesion` names where its lesion comes from; "": drawn anew, or none, or nobody says.
    """

    file: str
    patient: str
    positive: bool
    references: tuple[str, ...] | None = ()
    lesion: str = ""


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """`pixels` (N, side, side) uint8 and a fact for each; `name` as tables call them."""

    name: str
    pixels: np.ndarray
    facts: tuple[ImageFact, ...]

    @property
    def positive(self) -> np.ndarray:
        """(N,) bool."""
        return np.array([fact.positive for fact in self.facts], bool)

    @property
    def patients(self) -> list[str]:
        """Of each image."""
        return [fact.patient for fact in self.facts]

    def part(self, chosen: Sequence[int] | np.ndarray) -> LabeledImages:
        """Some of the images, by index."""
        return LabeledImages(
            self.name, self.pixels[np.asarray(chosen, int)], tuple(self.facts[k] for k in chosen)
        )


def read_sources(
    sources: Sequence[UtilitySource], study: UtilityStudy, *, name: str, listener: Listener = ignore
) -> LabeledImages:
    """All images of `sources` that belong to one of the two classes.

    Raises:
        ValueError: nothing of either class, or an image that cannot be used; the message names it.
    """
    pixels: list[np.ndarray] = []
    facts: list[ImageFact] = []
    for source in sources:
        found = (
            _of_set(source, study, listener)
            if source.is_set
            else _of_files(source, study, listener)
        )
        for plane, fact in found:
            pixels.append(plane)
            facts.append(fact)
    if not facts:
        raise ValueError(
            f"{name}: no image of {sources[0].folder} is {' or '.join(study.positive)} or "
            f"{' or '.join(study.negative) or 'anything else'}; look at task, patients and split"
        )
    return LabeledImages(name, np.stack(pixels), tuple(facts))


def _of_files(
    source: UtilitySource, study: UtilityStudy, listener: Listener
) -> Iterator[tuple[np.ndarray, ImageFact]]:
    data = Data(root=str(source.folder), layout=source.layout, table=source.table)
    entries = [e for e in read_entries(data) if _is_wanted(e, source)]
    classed = [(e, is_positive(e.labels, study)) for e in entries]
    known = [(e, positive) for e, positive in classed if positive is not None]
    with Stage(f"reading {source.name}", total=len(known), listener=listener) as stage:
        for entry, positive in known:
            yield from _of_entry(entry, bool(positive), source, study)
            stage.advance()


def _is_wanted(entry: DataEntry, source: UtilitySource) -> bool:
    named = [p for p in source.patients if matches(p, entry.patient)]
    if (source.patients and not named) or any(matches(p, entry.patient) for p in source.without):
        return False
    if not source.split:
        return True
    split = source.split.casefold()
    if split not in PARTS:
        raise ValueError(f"split: expected {', '.join(filter(None, PARTS))}, got {source.split!r}")
    return entry.part == PARTS[split]


def is_positive(labels: Sequence[str], study: UtilityStudy) -> bool | None:
    """Whether labels make an image positive; None: it is of neither class.

    Labels are compared without regard to case; `*` stands for anything.
    """

    def has(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(w.casefold(), p.casefold()) for w in labels for p in patterns)

    if has(study.positive):
        return True
    return False if not study.negative or has(study.negative) else None


def _of_entry(
    entry: DataEntry, positive: bool, source: UtilitySource, study: UtilityStudy
) -> Iterator[tuple[np.ndarray, ImageFact]]:
    named = entry.details.get("reference")
    fact = ImageFact(
        entry.name,
        entry.patient,
        positive,
        tuple(filter(None, (w.strip() for w in named.split("|")))) if named is not None else None,
        entry.details.get("lesion", ""),
    )
    for read in read_images(entry):
        if source.crop_mm is None:
            yield whole(read, entry.path, study), fact
            continue
        mask = sitk.GetArrayFromImage(lesion_mask(entry, read)) != 0
        yield from _crops(
            read,
            [mask] if positive else [],
            [] if positive else [mask],
            fact,
            source,
            study,
            preset=domains.get(source.preset),
            pixel_mm=entry.pixel_mm or source.pixel_mm,
        )


def _of_set(
    source: UtilitySource, study: UtilityStudy, listener: Listener
) -> Iterator[tuple[np.ndarray, ImageFact]]:
    images = read_set(source.folder, split=source.split, pasted=source.pasted)
    with Stage(f"reading {source.name}", total=len(images), listener=listener) as stage:
        for image in images:
            if not _set_patient_wanted(image, source):
                stage.advance()
                continue
            fact = ImageFact(
                f"items/{image.id}", image.id, bool(image.lesions), image.references, image.lesion
            )
            if source.crop_mm is None:
                if image.lesions or not image.labels:
                    yield whole(image.read(), image.folder, study, k=image.middle), fact
            else:
                places = image.crop_places(source.crop_mm, source.crops_without_lesion)
                read = image.read()
                pixel_mm = float(read.image.GetSpacing()[0])
                yield from _cut(read, places, fact, source, study, pixel_mm=pixel_mm)
            stage.advance()


def _set_patient_wanted(image: SetImage, source: UtilitySource) -> bool:
    named = not source.patients or any(
        matches(p, r) for p in source.patients for r in image.references
    )
    return named and not any(matches(p, r) for p in source.without for r in image.references)


def whole(
    read: ReferenceImage, path: Path, study: UtilityStudy, *, k: int | None = None
) -> np.ndarray:
    """The picture (or slice `k`) as the network sees it, (side, side) uint8.

    Raises:
        ValueError: a volume, and no slice of it is named.
    """
    values = sitk.GetArrayFromImage(read.image)
    if len(values) > 1 and k is None:
        raise ValueError(
            f"{path} has {len(values)} slices, a utility study compares pictures; cut crops around "
            "its lesions (crop_mm), or save the slices that you mean"
        )
    plane = gray_values(read, values, study)[k or 0]
    return squared(plane, study.side)


def gray_values(read: ReferenceImage, values: np.ndarray, study: UtilityStudy) -> np.ndarray:
    """`values` (k, j, i) as gray 0 to 255: in the study's window where it is in HU."""
    return to_display_units(read, values, hu_window=study.window).values


def squared(plane: np.ndarray, side: int) -> np.ndarray:
    """The plane in the middle of a black square, (side, side) uint8."""
    height, width = plane.shape
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    square = np.zeros((side, side), np.uint8)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = np.clip(
        np.rint(np.asarray(picture)), 0, 255
    )
    return square


def _crops(
    read: ReferenceImage,
    lesions: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    fact: ImageFact,
    source: UtilitySource,
    study: UtilityStudy,
    *,
    preset: Preset,
    pixel_mm: float | None = None,
) -> Iterator[tuple[np.ndarray, ImageFact]]:
    """A crop around each lesion, and others of the same image where nothing is marked."""
    values = sitk.GetArrayFromImage(read.image)
    spacing = read.image.GetSpacing()
    known = pixel_mm if pixel_mm and not says_its_pixel_size(read) else float(spacing[0])
    places = find_places(
        values,
        (known, known, float(spacing[2])),
        lesions,
        others,
        preset=preset,
        crop_mm=float(source.crop_mm or 0),
        without=source.crops_without_lesion,
        name=fact.file,
    )
    yield from _cut(read, places, fact, source, study, pixel_mm=known)


def _cut(
    read: ReferenceImage,
    places: Sequence[CropPlace],
    fact: ImageFact,
    source: UtilitySource,
    study: UtilityStudy,
    *,
    pixel_mm: float,
) -> Iterator[tuple[np.ndarray, ImageFact]]:
    """The crops at `places` as the network sees them."""
    gray = gray_values(read, sitk.GetArrayFromImage(read.image), study)
    for place in places:
        plane = cut_out(gray[place.k], place.center, source.crop_mm or 0, pixel_mm)
        kind = "lesion" if place.positive else "no lesion"
        lesion = fact.lesion if place.positive else ""
        named = f"{fact.file}, {kind} at {place.center[1]:.0f}, {place.center[0]:.0f}, slice {place.k + 1}"
        yield (
            squared(plane, study.side),
            ImageFact(named, fact.patient, place.positive, fact.references, lesion),
        )
