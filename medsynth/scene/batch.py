"""A batch: images, each with lesions and a number of seeds, as the plan of a data set.

`medsynth dataset` makes the set: it draws the places of the lesions, as one mark cannot fit every image. The page
queues the images that are open one after the other, each with lesions of its own; the module takes every volume of the
scene, or a folder, with the lesions of the panel.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth.scene import checks, findings, nodes, projection
from medsynth.scene.vocabulary import FROM_VOLUME, PRESETS, named_sampler
from medsynth.storage.files import move

MOST_IMAGES = 100_000
REFERENCES, FINDINGS = "references", "findings.nrrd"
# What holds for every image of a set, as the parameter node and a plan call it.
SETTINGS = ("steps", "sampler", "composition", "filter", "guidance", "background", "device")
# A lesion as a plan says it: its kind, diameter in mm, and factor.
Drawn = tuple[str, float, int]


def plan(
    preset: str,
    anatomies: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    *,
    count: int,
    seed: int,
    pathologies: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The keys of a plan of whole volumes, or of whole projection images."""
    made = {"preset": preset, "count": count, "anatomies": [*anatomies], **settings, "seed": seed}
    if not PRESETS[preset].is_projection:
        made["slices"] = "all"
    return {**made, "pathologies": dict(pathologies)} if pathologies else made


def settings_of(parameters: Any) -> dict[str, Any]:
    """What the parameter node, or what has its fields, says that holds for every image."""
    said = {key: getattr(parameters, key) for key in SETTINGS if key != "sampler"}
    return {**said, **named_sampler(parameters)}


def drawn(pathologies: Sequence[Any]) -> tuple[Drawn, ...]:
    """The pathologies as a plan says them.

    Raises:
        ValueError: one of another volume, or a saved one, which no plan can say.
    """
    for index, pathology in enumerate(pathologies, start=1):
        if pathology.kind == FROM_VOLUME or getattr(pathology, "saved", None):
            raise ValueError(
                f"Pathology {index}: a plan draws its lesions. Choose one of the domain's kinds."
            )
    return tuple((p.kind, float(p.diameter), round(p.factor)) for p in pathologies)


def _lesions(
    weights: Mapping[tuple[str, int], int], *, share: float, count: Any, diameter_mm: Any
) -> dict[str, Any]:
    sources = [
        {"procedural": {"kind": kind}, "factor": factor, "weight": weight}
        for (kind, factor), weight in weights.items()
    ]
    return {"share": share, "count": count, "sources": sources, "diameter_mm": diameter_mm}


def one_mask(reference: Any, folder: Path) -> Path | None:
    """The mask of the existing findings of `reference`, written to `folder`; None where it has none.

    Raises:
        ValueError: findings that share a voxel: a plan takes one mask beside each image.
    """
    files = findings.request_keys(reference, folder).get("labels", [])
    if len(files) > 1:
        raise ValueError(
            f"Existing findings of {reference.GetName()} overlap: a plan takes one mask of them. Unite them."
        )
    return folder / files[0]["file"] if files else None


# The module: volumes or a folder x the lesions of the panel


def plan_of_volumes(
    parameters: Any,
    pathologies: Sequence[Any],
    *,
    volumes: Sequence[Any] | None = None,
    images: str = "",
    each: int,
    healthy: float,
    write: str,
) -> dict[str, Any]:
    """The plan that gives each image one of the lesions.

    Args:
        parameters: the module's parameter node, or what has its fields.
        pathologies: what the lesions are (kind, factor, diameter); where they are is drawn.
        volumes: of the scene; None: `images` is a folder.
        images: the folder of the references.
        each: images of each volume; with a folder, images in all.
        healthy: the share of images without a lesion, 0 to 1.
        write: the layout of the finished set; "" for none.

    Raises:
        ValueError: something that no plan can say; the message says what to do.
    """
    preset = PRESETS[parameters.preset]
    if volumes is not None:
        source = {"images": f"{REFERENCES}/*", "in_turn": True, **_said(volumes, preset)}
        count = each * len(volumes)
    else:
        source, count = {"images": f"{images}/*", "in_turn": True}, each
    source["factor"] = round(parameters.factor)
    lesions = None
    if pathologies and healthy < 1:
        found = drawn(pathologies)
        sizes = [diameter for _, diameter, _ in found]
        weights = Counter((kind, factor) for kind, _, factor in found)
        sizes = [min(sizes), max(sizes)]
        lesions = _lesions(weights, share=1 - healthy, count=1, diameter_mm=sizes)
    settings, seed = settings_of(parameters), parameters.seed
    made = plan(preset.name, [source], settings, count=count, seed=seed, pathologies=lesions)
    return {**made, "write": [write]} if write else made


def _said(volumes: Sequence[Any], preset: Any) -> dict[str, Any]:
    """What all volumes say of their findings, and of view and side where they are projection images."""
    if not volumes:
        raise ValueError("There is no volume in the scene: load some, or choose a folder.")
    said: dict[str, Any] = {}
    if all(findings.has_none(volume) for volume in volumes):
        said["labels"] = []
    elif all(findings.of(v) is not None for v in volumes):
        said["labels"] = FINDINGS
    elif any(findings.of(volume) is not None for volume in volumes):
        raise ValueError(
            "Existing findings: some volumes have a segmentation of them and some have none. Run those "
            "with and those without in two batches, so that no finding is in no mask."
        )
    if preset.is_projection:
        shown = [projection.anatomy_keys(volume, preset) for volume in volumes]
        if any(keys != shown[0] for keys in shown):
            raise ValueError("The images show different views or sides: run a batch for each.")
        said |= shown[0]
    return said


def write(record: dict[str, Any], folder: Path, volumes: Sequence[Any] | None = None) -> Path:
    """Write a plan, and the volumes of the scene that it names; gives its file.

    Volumes are numbered: a name may be a patient's.

    Raises:
        RuntimeError: something could not be written.
        ValueError: findings that overlap.
    """
    for number, volume in enumerate(volumes or (), start=1):
        where = folder / REFERENCES / f"{number:03d}"
        where.mkdir(parents=True)
        nodes.write_volume(volume, where / "image.nrrd")
        if record["anatomies"][0].get("labels") == FINDINGS:
            file = one_mask(volume, where)
            assert file is not None  # or the plan would not name it
            move(file, where / FINDINGS)
    file = folder / "plan.yaml"
    # Every JSON document is a YAML document; Slicer's Python has no YAML writer.
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return file


# The page: a queue of open images, each with lesions of its own


@dataclass(frozen=True)
class Queued:
    """One image of the queue.

    Attributes:
        name: as a list shows it.
        preset: its domain.
        anatomy: keys of the plan's anatomy source, the image by its name in the queue's folder.
        lesions: those that every synthetic image of it gets.
        images: how many synthetic images of it there will be, each with a seed of its own.
        settings: what held when it was added, see `settings_of`.
    """

    name: str
    preset: str
    anatomy: Mapping[str, Any]
    lesions: tuple[Drawn, ...]
    images: int
    settings: Mapping[str, Any]


def queued(
    parameters: Any,
    pathologies: Sequence[Any],
    folder: Path,
    *,
    number: int,
    images: int,
    source: Path | None = None,
) -> Queued:
    """The reference as it is now, copied into the queue's folder.

    Args:
        parameters: the module's parameter node, or what has its fields.
        pathologies: theirs.
        number: of the image in the queue, for its name there.
        source: its DICOM files, where there are any.

    Raises:
        ValueError: no reference, something about it is not said, or a lesion that no plan can draw.
    """
    if not 1 <= images <= MOST_IMAGES:
        raise ValueError(f"expected 1 to {MOST_IMAGES:,} images, got {images}")
    anatomy: dict[str, Any] = dict(checks.anatomy(parameters))
    lesions = drawn(pathologies)
    reference = parameters.reference
    if source is not None:
        place = folder / f"image_{number:02d}"
        shutil.copytree(source, place)
        anatomy = {}  # the header says it
    else:
        place = nodes.write_volume(reference, folder / f"image_{number:02d}.nrrd")
    said = _labels(reference, folder, number)
    anatomy |= {"images": place.name, "factor": round(parameters.factor), **said}
    return Queued(
        *(reference.GetName(), parameters.preset, anatomy, lesions, images),
        settings=settings_of(parameters),
    )


def _labels(reference: Any, folder: Path, number: int) -> dict[str, Any]:
    if findings.of(reference) is None:
        return findings.request_keys(reference, folder)  # what is said, without a file
    own = folder / f"findings_{number:02d}"
    own.mkdir()
    try:
        file = one_mask(reference, own)
    except ValueError:
        shutil.rmtree(own)
        raise
    return {"labels": f"{own.name}/{file.name}"} if file else {}


def plan_of_queue(queue: Sequence[Queued], *, seed: int) -> dict[str, Any]:
    """The plan that makes all images of the queue.

    Raises:
        ValueError: nothing is queued, or images of several domains or settings.
    """
    if not queue:
        raise ValueError("The queue is empty. Add the image first.")
    names = sorted({entry.preset for entry in queue})
    if len(names) > 1:
        titles = " and ".join(PRESETS[name].title for name in names)
        raise ValueError(f"A set is of one domain, the queue has {titles}. Make two.")
    settings = queue[0].settings
    for key in SETTINGS:
        values = list(dict.fromkeys(entry.settings.get(key) for entry in queue))
        if len(values) > 1:
            several = " and ".join(map(str, values))
            raise ValueError(f"A set has one value of {key}, the queue has {several}. Make two.")
    total = sum(entry.images for entry in queue)
    anatomies = [{**entry.anatomy, "weight": entry.images} for entry in queue]
    lesions = _lesions_of_queue(queue, total)
    made = plan(names[0], anatomies, settings, count=total, seed=seed, pathologies=lesions)
    return {**made, "write": ["nifti"]}


def _lesions_of_queue(queue: Sequence[Queued], total: int) -> dict[str, Any] | None:
    weights: Counter[tuple[str, int]] = Counter()
    sizes: Counter[float] = Counter()
    counts: Counter[int] = Counter()
    for entry in queue:
        for kind, diameter, factor in entry.lesions:
            weights[kind, factor] += entry.images
            sizes[diameter] += entry.images
        if entry.lesions:
            counts[len(entry.lesions)] += entry.images
    if not weights:
        return None
    return _lesions(
        dict(sorted(weights.items())),
        share=sum(counts.values()) / total,
        count={str(n): images for n, images in sorted(counts.items())},
        diameter_mm={"choice": sorted(sizes)},
    )
