"""A queue of open images, each with its lesions and a number of seeds, as the plan of a data set.

`medsynth dataset` makes the set: it draws the places of the lesions, so the marks on an image are not used.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth.scene import checks, findings, nodes
from medsynth.scene.vocabulary import FROM_VOLUME, PRESETS

MOST_IMAGES = 100_000


@dataclass(frozen=True)
class Queued:
    """One image of the queue.

    Attributes:
        name: as a list shows it.
        preset: its domain.
        anatomy: keys of the plan's anatomy source, the image by its name in the queue's folder.
        lesions: (kind, diameter in mm) of each lesion that every synthetic image of it gets.
        images: how many synthetic images of it there will be, each with a seed of its own.
    """

    name: str
    preset: str
    anatomy: dict[str, Any]
    lesions: tuple[tuple[str, float], ...]
    images: int


def queued(
    parameters, pathologies, folder: Path, *, number: int, images: int, source: Path | None = None
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
    check_drawn(pathologies)
    reference = parameters.reference
    if source is not None:
        place = folder / f"image_{number:02d}"
        shutil.copytree(source, place)
        anatomy = {}  # the header says it
    else:
        place = nodes.write_volume(reference, folder / f"image_{number:02d}.nrrd")
    said = _labels(reference, folder, number)
    anatomy |= {"images": place.name, "factor": round(parameters.factor), **said}
    lesions = tuple((p.kind, float(p.diameter)) for p in pathologies)
    return Queued(reference.GetName(), parameters.preset, anatomy, lesions, images)


def check_drawn(pathologies) -> None:
    """Refuse lesions that no plan can say.

    Raises:
        ValueError: one of another volume, or a saved one.
    """
    for index, pathology in enumerate(pathologies, start=1):
        if pathology.kind == FROM_VOLUME or getattr(pathology, "saved", None) is not None:
            raise ValueError(
                f"Pathology {index}: a plan draws its lesions. Choose one of the domain's kinds."
            )


def one_mask(reference, folder: Path) -> Path | None:
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


def _labels(reference, folder: Path, number: int) -> dict[str, Any]:
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


def plan(queue: Sequence[Queued], *, steps: int, seed: int) -> dict[str, Any]:
    """The keys of a plan that makes all images of the queue.

    Raises:
        ValueError: nothing is queued, or images of several domains.
    """
    if not queue:
        raise ValueError("The queue is empty. Add the image first.")
    names = sorted({entry.preset for entry in queue})
    if len(names) > 1:
        titles = " and ".join(PRESETS[name].title for name in names)
        raise ValueError(f"A set is of one domain, the queue has {titles}. Make two.")
    total = sum(entry.images for entry in queue)
    made: dict[str, Any] = {
        "preset": names[0],
        "count": total,
        "anatomies": [{**entry.anatomy, "weight": entry.images} for entry in queue],
        "write": ["nifti"],
        "steps": steps,
        "seed": seed,
    }
    return made | _pathologies(queue, total)


def _pathologies(queue: Sequence[Queued], total: int) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    sizes: Counter[float] = Counter()
    counts: Counter[int] = Counter()
    for entry in queue:
        for kind, diameter in entry.lesions:
            kinds[kind] += entry.images
            sizes[diameter] += entry.images
        if entry.lesions:
            counts[len(entry.lesions)] += entry.images
    if not kinds:
        return {}
    drawn = [{"procedural": {"kind": kind}, "weight": n} for kind, n in sorted(kinds.items())]
    return {
        "pathologies": {
            "share": sum(counts.values()) / total,
            "count": {str(n): images for n, images in sorted(counts.items())},
            "sources": drawn,
            "diameter_mm": {"choice": sorted(sizes)},
        }
    }
