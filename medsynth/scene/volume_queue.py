"""A queue of syntheses as the plan of a data set: volumes x seeds, with the lesions of the panel.

`medsynth dataset PLAN` runs it. Places are drawn, as one mark cannot fit every volume.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsynth.scene import findings, nodes, projection
from medsynth.scene.batch import check_drawn, one_mask
from medsynth.scene.vocabulary import PRESETS
from medsynth.storage.files import move

REFERENCES, FINDINGS = "references", "findings.nrrd"
KEYS = ("steps", "sampler", "composition", "filter", "guidance", "device")


def plan(
    parameters: Any,
    pathologies: Sequence[Any],
    *,
    volumes: Sequence[Any] | None = None,
    images: str = "",
    each: int,
    healthy: float,
    write: str,
) -> dict[str, Any]:
    """The keys of the plan.

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
    keys = {key: getattr(parameters, key) for key in KEYS}
    record = {"preset": preset.name, "count": count, "anatomies": [source], **keys}
    record |= {"seed": parameters.seed, "background": parameters.background}
    if not preset.is_projection:
        record["slices"] = "all"
    if write:
        record["write"] = [write]
    if pathologies and healthy < 1:
        record["pathologies"] = _lesions(pathologies, 1 - healthy)
    return record


def _lesions(pathologies: Sequence[Any], share: float) -> dict[str, Any]:
    check_drawn(pathologies)
    sources = [
        {"procedural": {"kind": pathology.kind}, "factor": round(pathology.factor)}
        for pathology in pathologies
    ]
    sizes = [float(pathology.diameter) for pathology in pathologies]
    diameter = [min(sizes), max(sizes)]
    return {"share": share, "count": 1, "sources": sources, "diameter_mm": diameter}


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
