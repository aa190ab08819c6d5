"""What panel or page say, as the folder that `medsynth synthesize` reads: request.yaml and NRRD files."""

from __future__ import annotations

import json
from pathlib import Path

from medsynth.scene import checks, findings, nodes, projection, region
from medsynth.scene.vocabulary import FROM_VOLUME, PRESETS, named_sampler


def write(
    parameters,
    pathologies,
    folder: Path,
    *,
    reference: str | None = None,
    has_header: bool = False,
    more: dict | None = None,
) -> list[Path]:
    """Write the images and one request per variant; variants differ in their seed.

    Args:
        parameters: the module's parameter node (MedSynthParameterNode), or what has its fields.
        pathologies: the pathologies' parameter nodes, or what has their fields, in order.
        folder: where to write; empty but for the reference.
        reference: its file name, where it is written already.
        has_header: whether that file is DICOM; what it says of a projection image is not said again.
        more: further keys of the request.

    Returns:
        The request files.

    Raises:
        ValueError: something is not chosen or marked; the message says what.
    """
    shown = checks.anatomy(parameters)
    if has_header:
        own = projection.own(parameters.reference, PRESETS[parameters.preset])
        shown = {key: word for key, word in shown.items() if key not in own}
    if reference is None:
        reference = nodes.write_volume(parameters.reference, folder / "reference.nrrd").name
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
            "image": reference,
            "factor": round(parameters.factor),
            "stop": parameters.stop,
            **shown,
            **findings.request_keys(parameters.reference, folder),
        },
        "pathologies": lesions,
        "steps": parameters.steps,
        **named_sampler(parameters),
        "composition": parameters.composition,
        "filter": parameters.filter,
        "guidance": parameters.guidance,
        "device": parameters.device,
        **(more or {}),
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
    if (saved := checks.saved_of(pathology)) is not None:
        return saved.source()
    if pathology.kind != FROM_VOLUME:
        return {"procedural": {"kind": pathology.kind}}
    volume, mask = pathology.sourceVolume, pathology.sourceMask
    checks.source(pathology, number)
    marked = region.segmentation_mask(mask, volume)
    if not marked.any():
        raise ValueError(
            f"Pathology {number}: {mask.GetName()} marks no lesion in {volume.GetName()}."
        )
    image = nodes.write_volume(volume, folder / f"source_{number:02d}.nrrd")
    roi = region.write_mask(marked, volume, folder / f"source_{number:02d}_mask.nrrd")
    return {"image": image.name, "mask": roi.name}
