"""One image before it is sampled: its slice, its lesions' places, and the request that they make.

A place that turns out impossible is drawn again, never a stop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth import domains
from medsynth.errors import GeometryError
from medsynth.events import ignore
from medsynth.factory import places
from medsynth.factory.plan import LesionPlace, Plan
from medsynth.factory.rows import PlanRow
from medsynth.factory.seeds import stream
from medsynth.images import Label, ReferenceImage, read_image, read_labels
from medsynth.lesions import mask_diameter_mm
from medsynth.pipeline.existing import Existing, existing_labels
from medsynth.pipeline.plan import Prepared, prepare
from medsynth.pipeline.preprocessing import PreprocessedReference, load_anatomy, preprocess_anatomy
from medsynth.request import Request, parse

# How often everything about an image's place is drawn again, and from when on sizes are too.
TRIES, SIZES_AFTER = 40, 8
# A mask of less than this share of the diameter was cut off by something.
LEAST_DIAMETER, LEAST_AT_BORDER = 0.8, 0.6
# Where the lungs of a phantom are, in mm from its middle; and the part of a volume that is looked at.
LEVELS_MM = {"thorax": (-100.0, 105.0)}
INNER = (0.1, 0.9)
# Anatomies, and slices of one, that stay in memory.
KEPT_IMAGES, KEPT_SCENES = 1, 4
# What is looked at once for all lesions of a slice: where they can lie, and the labels it has (with warnings).
_Look = tuple[places.Scene, tuple[list[Existing], list[str]]]


@dataclass(frozen=True, eq=False)
class Arranged:
    """A row with its slice and centers, the request that it became, and what the pipeline made of it."""

    row: PlanRow
    request: Request
    prepared: Prepared


class Arranger:
    """Arranges the rows of one plan; the anatomy used last stays read and preprocessed."""

    def __init__(self, plan: Plan):
        self.plan, self.preset = plan, domains.get(plan.preset)
        self._images: OrderedDict[tuple[str, str | None], ReferenceImage] = OrderedDict()
        self._scenes: OrderedDict[str, _Look] = OrderedDict()
        self._labels: tuple[Path, list[Label]] | None = None

    def forget(self) -> None:
        """Read everything anew: a file may have been half there."""
        self._images.clear()
        self._scenes.clear()
        self._labels = None

    def arrange(self, row: PlanRow) -> Arranged:
        """The first draw of `row` that can be made.

        Raises:
            ValueError: none of many could; or the anatomy cannot be used.
        """
        generator = stream(row.seed, "place")
        lesions = list(row.lesions)
        refused: Exception | None = None
        for attempt in range(TRIES):
            if attempt >= SIZES_AFTER and self.plan.pathologies is not None:
                # Smaller and smaller draws are taken: the size asked for has no place here.
                lesions = [self._smaller(lesion, generator) for lesion in lesions]
            anatomy = self._anatomy(row, generator)
            try:
                return self._arranged(row, anatomy, lesions, generator)
            except GeometryError as error:
                refused = error
        raise ValueError(
            f"no place found for {row.anatomy['id']} with {len(lesions)} lesions in {TRIES} draws; the "
            f"last was refused: {refused}"
        )

    def _smaller(self, lesion: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        assert self.plan.pathologies is not None
        drawn = self.plan.pathologies.diameter_mm.draw(generator)
        return {**lesion, "diameter_mm": min(drawn, lesion["diameter_mm"])}

    def _arranged(
        self,
        row: PlanRow,
        anatomy: dict[str, Any],
        lesions: Sequence[dict[str, Any]],
        generator: np.random.Generator,
    ) -> Arranged:
        scene, labels = self._scene(row, anatomy)
        if self._chooses_slice(row) and not scene.shows_organ:
            raise GeometryError(f"the slice shows too little of the {scene.place.where}")
        wanted = [places.Wanted(e["diameter_mm"], e["pleural"]) for e in lesions]
        centers = places.choose(scene, wanted, generator)
        placed = tuple(
            {**lesion, "center_mm": list(center)}
            for lesion, center in zip(lesions, centers, strict=True)
        )
        asked = self._request(row, anatomy, placed)
        request = parse(asked, self.plan.base)
        prepared = prepare(
            request,
            preset=self.preset,
            listener=ignore,
            preprocessed=scene.preprocessed,
            labels=labels,
        )
        _check(prepared, placed)
        slice_ = anatomy["slice"] - 1 if "slice" in anatomy else None
        whole = replace(
            row, anatomy={**row.anatomy, "slice": slice_}, lesions=placed, request=asked
        )
        return Arranged(whole, request, prepared)

    def _chooses_slice(self, row: PlanRow) -> bool:
        phantom = row.anatomy["phantom"]
        if phantom is not None:
            return self.plan.pictures and phantom["kind"] in LEVELS_MM
        return self.plan.pictures and row.anatomy["slices"] != 1

    def _anatomy(self, row: PlanRow, generator: np.random.Generator) -> dict[str, Any]:
        """The anatomy of a request: which slice of it is drawn here."""
        drawn = row.anatomy
        factor = {"factor": drawn["factor"]}
        if drawn["phantom"] is not None:
            phantom = dict(drawn["phantom"])
            if self._chooses_slice(row):
                phantom["slices"] = 1
                if "level_mm" not in drawn["phantom"]:
                    phantom["level_mm"] = self._level(phantom["kind"], generator)
            return {"phantom": phantom, **factor}
        anatomy = {"image": drawn["image"], **factor, **drawn["keys"]}
        if self._chooses_slice(row):
            anatomy["slice"] = 1 + self._slice(drawn["slices"] or self._count(row), generator)
        return anatomy

    def _level(self, kind: str, generator: np.random.Generator) -> float:
        low, high = LEVELS_MM[kind]
        if isinstance(self.plan.slices, int):
            among = np.linspace(low, high, self.plan.slices + 2)[1:-1]
            return round(float(among[int(generator.integers(len(among)))]), 1)
        return round(float(generator.uniform(low, high)), 1)

    def _slice(self, count: int, generator: np.random.Generator) -> int:
        first, last = int(INNER[0] * count), max(int(INNER[0] * count), int(INNER[1] * count) - 1)
        among = np.arange(first, last + 1)
        if isinstance(self.plan.slices, int) and len(among) > self.plan.slices:
            spread = np.linspace(first, last, self.plan.slices + 2)[1:-1]
            among = np.unique(np.rint(spread).astype(int))
        return int(among[int(generator.integers(len(among)))])

    def _count(self, row: PlanRow) -> int:
        return self._image(row.anatomy).image.GetDepth()

    def _image(self, anatomy: dict[str, Any]) -> ReferenceImage:
        key = (anatomy["image"], anatomy["keys"].get("series_uid"))
        if key not in self._images:
            while len(self._images) >= KEPT_IMAGES:
                self._images.popitem(last=False)
            self._images[key] = read_image(key[0], series_uid=key[1])
        return self._images[key]

    def _labels_of(self, file: Path) -> list[Label]:
        """The labels of the file read last stay: a segmentation of a volume serves all its slices."""
        if self._labels is None or self._labels[0] != file:
            self._labels = (file, read_labels(file))
        return self._labels[1]

    def _scene(self, row: PlanRow, anatomy: dict[str, Any]) -> _Look:
        key = repr(sorted((k, str(v)) for k, v in anatomy.items() if k != "factor"))
        if key not in self._scenes:
            while len(self._scenes) >= KEPT_SCENES:
                self._scenes.popitem(last=False)
            self._scenes[key] = self._look(row, anatomy)
        return self._scenes[key]

    def _look(self, row: PlanRow, anatomy: dict[str, Any]) -> _Look:
        request = parse({"preset": self.plan.preset, "anatomy": anatomy}, self.plan.base)
        if row.anatomy["image"] is None:
            preprocessed = load_anatomy(request, preset=self.preset, listener=ignore)
        else:
            image = self._image(row.anatomy)
            preprocessed = preprocess_anatomy(request.anatomy, image, self.preset)
        asked = self.plan.pathologies
        place = asked.place if asked is not None else LesionPlace(next(iter(self.preset.places)))
        labels = existing_labels(request, preprocessed, read=self._labels_of)
        scene = places.Scene(preprocessed, self.preset, place, _findings(labels[0], preprocessed))
        return scene, labels

    def _request(
        self, row: PlanRow, anatomy: dict[str, Any], lesions: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """The keys of the request of a row."""
        asked = {"preset": self.plan.preset, "anatomy": anatomy, "seed": row.seed, "extent": "all"}
        if lesions:
            asked["pathologies"] = [_pathology(lesion) for lesion in lesions]
        request = {k: v for k, v in self.plan.request.items() if k != "background" or lesions}
        if request.get("background") == "keep":
            asked.pop("extent")
        return {**asked, **request}


def _pathology(lesion: dict[str, Any]) -> dict[str, Any]:
    place = {"center_mm": lesion["center_mm"], "diameter_mm": lesion["diameter_mm"]}
    if lesion["source"] == "procedural":
        source: dict[str, Any] = {"procedural": {"kind": lesion["kind"], **lesion["options"]}}
    else:
        source = {key: lesion[key] for key in ("image", "mask", "rotate_deg", "mirror")}
    return {**place, "source": source, "factor": lesion["factor"]}


def _findings(labels: Sequence[Existing], preprocessed: PreprocessedReference) -> np.ndarray | None:
    """What the reference already shows, bool (k, j, i); None where nothing is labeled."""
    if not labels:
        return None
    found = np.zeros(preprocessed.reference.image.GetSize()[::-1], dtype=bool)
    for label in labels:
        found |= sitk.GetArrayViewFromImage(label.mask) > 0
    return found


def _check(prepared: Prepared, lesions: Sequence[dict[str, Any]]) -> None:
    """Refuse what was drawn otherwise than asked for.

    Raises:
        GeometryError: a lesion was cut off, or lies on another or on an existing finding.
    """
    taken = np.zeros(prepared.reference.image.GetSize()[::-1], dtype=bool)
    for label in prepared.labels:
        taken |= sitk.GetArrayViewFromImage(label.mask) > 0
    for index, (region, lesion) in enumerate(zip(prepared.regions, lesions, strict=True)):
        mask = sitk.GetArrayViewFromImage(region.lesion.mask) > 0
        if (mask & taken).any():
            raise GeometryError(f"lesion {index + 1} lies on another or on an existing finding")
        taken |= mask
        least = LEAST_AT_BORDER if lesion["pleural"] else LEAST_DIAMETER
        measured = mask_diameter_mm(region.lesion.mask)
        if measured < least * lesion["diameter_mm"]:
            raise GeometryError(
                f"lesion {index + 1} was cut off: {measured:.1f} of {lesion['diameter_mm']:.1f} mm"
            )
