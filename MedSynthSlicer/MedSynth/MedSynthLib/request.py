"""What the panel says, as the folder that `medsynth synthesize` reads: request.yaml and NRRD files."""

from __future__ import annotations

import json
from pathlib import Path

from MedSynthLib import film, networks, region, scene
from MedSynthLib.vocabulary import FROM_VOLUME, PRESETS


def write(parameters, pathologies, folder: Path) -> list[Path]:
    """Write the images and one request per variant; variants differ in their seed.

    Args:
        parameters: the module's parameter node (MedSynthParameterNode).
        pathologies: the pathologies' parameter nodes, in order.
        folder: an empty folder.

    Returns:
        The request files.

    Raises:
        ValueError: something is not chosen or marked; the message says what.
    """
    if parameters.reference is None:
        drawn = PRESETS[parameters.preset].phantoms
        raise ValueError(
            f"Choose an anatomy reference first{', or press Sample phantom' if drawn else ''}."
        )
    shown = film.anatomyKeys(parameters.reference, PRESETS[parameters.preset])
    reference = scene.writeVolume(parameters.reference, folder / "reference.nrrd")
    lesions = []
    for number, pathology in enumerate(pathologies, start=1):
        places = region.entries(
            pathology.where, parameters.reference, pathology.diameter, folder, number
        )
        source = _source(pathology, folder, number)
        for place in places:
            condition = {"factor": round(pathology.factor), "stop": pathology.stop}
            lesions.append({**place, "source": source, **condition})
    request = {
        "preset": parameters.preset,
        "anatomy": {
            "image": reference.name,
            "factor": round(parameters.factor),
            "stop": parameters.stop,
            **shown,
        },
        "pathologies": lesions,
        "steps": parameters.steps,
        "sampler": parameters.sampler,
        "composition": parameters.composition,
        "filter": parameters.filter,
        "guidance": parameters.guidance,
        "device": parameters.device,
        **networks.requestKeys(parameters.preset),
    }
    if lesions:
        request["extent"], request["background"] = parameters.extent, parameters.background
    files = []
    for seed in range(parameters.seed, parameters.seed + parameters.variants):
        files.append(folder / f"seed_{seed}.yaml")
        # Every JSON document is a YAML document; Slicer's Python has no YAML writer.
        files[-1].write_text(json.dumps({**request, "seed": seed}, indent=1), encoding="utf-8")
    return files


def _source(pathology, folder: Path, number: int) -> dict:
    if pathology.kind != FROM_VOLUME:
        return {"procedural": {"kind": pathology.kind}}
    volume, mask = pathology.sourceVolume, pathology.sourceMask
    if volume is None or mask is None:
        raise ValueError(
            f"Pathology {number}: choose the volume its lesion is taken from and the segmentation "
            "that marks the lesion there."
        )
    marked = region.segmentationMask(mask, volume)
    if not marked.any():
        raise ValueError(
            f"Pathology {number}: {mask.GetName()} marks no lesion in {volume.GetName()}."
        )
    image = scene.writeVolume(volume, folder / f"source_{number:02d}.nrrd")
    roi = region.writeMask(marked, volume, folder / f"source_{number:02d}_mask.nrrd")
    return {"image": image.name, "mask": roi.name}
