"""One job from request to OUT: prepare, estimate, generate, measure, deliver."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path

import SimpleITK as sitk
import torch

from medsynth import domains as presets
from medsynth import generators
from medsynth.domains import Preset
from medsynth.domains.methods import EXPORTERS, exported_files
from medsynth.events import Event, Listener, ignore
from medsynth.generators.base import SURROUNDINGS, Generator
from medsynth.images import ReferenceImage
from medsynth.networks.device import choose_device
from medsynth.pipeline import estimate as cost
from medsynth.pipeline.exporters.base import ExportInputs, label_name, mask_name
from medsynth.pipeline.generate import Generated, generate, task_of_slice, worst
from medsynth.pipeline.measure import measure_coherence, measure_label, measure_lesion
from medsynth.pipeline.plan import Prepared, prepare
from medsynth.pipeline.write_outputs import write
from medsynth.records.result import GuidanceError, Result
from medsynth.request import Request
from medsynth.storage import folders as results


def run(
    request: Request,
    out: Path | str,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    listener: Listener = ignore,
    generator: Generator | None = None,
    receive: Callable[[ExportInputs], None] | None = None,
) -> Result | cost.Estimate:
    """Synthesize `request` into the folder `out`; with `dry_run` only say what it would take.

    `generator`: what draws, None: what the request asks for. `receive` is given the images in memory
    before they are written.

    Raises:
        ValueError, GeometryError: something in the request cannot be used.
        CheckpointError: the weights are missing, damaged or for another domain.
        MemoryError: the job cannot fit.
        OSError: `out` exists, lies in a folder of the request's images, is being made by another run,
            cannot be written, or the disk is too full.
    """
    results.check_outside(out, folders_of(request))
    output = results.OutputFolder(out, overwrite=overwrite, contents=exported_files())
    # Claimed before the work begins: a second run into the same folder ends at its start.
    with nullcontext() if dry_run else output.claimed():
        return _run(
            request,
            output,
            dry_run=dry_run,
            listener=listener,
            generator=generator,
            receive=receive,
        )


def folders_of(request: Request) -> list[Path]:
    """The folders that the request reads images from."""
    paths = [request.anatomy.image]
    for pathology in request.pathologies:
        paths += [pathology.roi, pathology.source.image, pathology.source.mask]
    paths += [labels.file for labels in request.anatomy.labels or ()]
    return [path for path in paths if isinstance(path, Path) and path.is_dir()]


def _run(
    request: Request,
    output: results.OutputFolder,
    *,
    dry_run: bool,
    listener: Listener,
    generator: Generator | None,
    receive: Callable[[ExportInputs], None] | None,
) -> Result | cost.Estimate:
    preset = presets.get(request.preset)
    if generator is None:
        weights, metadata = generators.weights_of(request, preset)
    device = choose_device(request.device)
    clock = Clock()
    with clock("preparing"):
        prepared = prepare(request, preset=preset, listener=listener)
    size = prepared.reference.image.GetSize()
    needed = cost.memory_needed(size, lesions=len(prepared.regions), slice_pixels=size[0] * size[1])
    cost.check_memory(needed)
    with clock("loading the network"):
        if generator is None:
            generator = generators.load(
                request, preset=preset, weights=weights, metadata=metadata, device=device
            )
        check_task(request, prepared, generator)
        seconds = generator.seconds_per_slice(size[1::-1]) * len(prepared.slices)
    per_voxel = sum(EXPORTERS[name].facts.get("bytes_per_voxel", 0) for name in request.write)
    disk = cost.disk_needed(size, lesions=len(prepared.regions), bytes_per_voxel=per_voxel)
    estimate = cost.Estimate(len(prepared.slices), seconds, needed, disk, device)
    listener(Event("estimate", message=estimate.sentence(), data=estimate.to_dict()))
    for warning in prepared.warnings:
        listener(Event("warning", message=warning))
    if dry_run:
        return estimate
    output.needed_bytes = disk
    output.check()
    with clock("sampling"):
        generated = generate(
            prepared,
            generator,
            request=request,
            preset=preset,
            listener=listener,
            expected=seconds,
        )
    record = describe(request, prepared, generated, generator, preset=preset)
    inputs = ExportInputs(request, prepared, generated.volume, preset, generator.checkpoint)
    if receive is not None:
        receive(inputs)
    with output as folder:
        result = write(inputs, folder, record=record, seconds=clock.seconds, listener=listener)
    data = {"out": str(output.out), "seed": request.seed}
    listener(Event("result", message=f"wrote {output.given}", data=data))
    return result


def check_task(request: Request, prepared: Prepared, generator: Generator) -> None:
    """Refuse what the generator would refuse, before it starts and on a dry run too.

    Raises:
        ValueError: it cannot do what is asked.
    """
    able = generator.capabilities
    if request.pathologies and not able.lesions:
        raise ValueError(f"pathologies: {generator.name} places no lesions; remove them")
    if request.background == "keep" and not able.background:
        raise ValueError(f"background: {generator.name} keeps none; write background: resynthesize")
    if request.conditions and not able.conditions:
        raise ValueError(f"conditions: {generator.name} knows none; remove them")
    middle = prepared.slices[len(prepared.slices) // 2]
    generator.check(task_of_slice(prepared, middle, request=request))


def describe(
    request: Request,
    prepared: Prepared,
    generated: Generated,
    generator: Generator,
    *,
    preset: Preset,
) -> dict:
    """The measured fields of `Result`."""
    factors = {"anatomy": (request.anatomy.factor, request.anatomy.stop)}
    for index, pathology in enumerate(request.pathologies):
        factors[f"pathologies[{index}]"] = (pathology.factor, pathology.stop)
    errors = tuple(
        GuidanceError(name, factors[name][0], factors[name][1].to_value(), worst(values))
        for name, values in generated.errors.items()
        if name in factors
    )
    suffix = mask_suffix(request)
    return {
        **generator.record(),
        "generator": generator.name,
        "seed": request.seed,
        "threads": torch.get_num_threads(),
        "slices": (prepared.slices[0], prepared.slices[-1]),
        "guidance_errors": errors,
        "conditions": {
            each.kind: round(worst(generated.errors[each.kind]), 6)
            for each in request.conditions
            if each.kind in generated.errors
        },
        "coherence": measure_coherence(prepared, generated.volume, preset=preset),
        "noise": noise_record(generated),
        "pixel_mark": generated.pixel_mark,
        "digests": generated.digests,
        "surroundings": {"error": worst(generated.errors[SURROUNDINGS])}
        if SURROUNDINGS in generated.errors
        else {},
        "lesions": tuple(
            measure_lesion(
                region,
                generated.volume,
                file=suffix and mask_name(index, suffix),
                preset=preset,
            )
            for index, region in enumerate(prepared.regions)
        ),
        "labels": tuple(
            measure_label(
                label, file=suffix and label_name(index, suffix), modality=preset.modality
            )
            for index, label in enumerate(prepared.labels)
        ),
        "clipped": {
            "reference": clipped_fraction(prepared.reference, preset),
            "result": generated.clipped,
        },
        "reference": prepared.preprocessing.record,
        "warnings": prepared.warnings,
    }


def mask_suffix(request: Request) -> str | None:
    """Of the masks' files that result.json names: those of the first exporter that writes any."""
    suffixes = (EXPORTERS[name].facts.get("mask_suffix") for name in request.write)
    return next(filter(None, suffixes), None)


def clipped_fraction(reference: ReferenceImage, preset: Preset) -> float:
    """Share of the reference's voxels, padding aside, that the intensity map cannot represent."""
    values = sitk.GetArrayViewFromImage(reference.image)
    if reference.padding is not None:
        values = values[~reference.padding]
    return preset.intensity.clipped_fraction(values) if values.size else 0.0


def noise_record(generated: Generated) -> dict[str, dict[str, float]]:
    """By tissue: root mean square over the slices of the noise wanted, the sample's, and added."""
    names = ("wanted", "sample", "added")
    return {
        tissue: {
            name: round(math.sqrt(sum(v * v for v in values) / len(values)), 2)
            for name, values in zip(names, zip(*levels, strict=True), strict=True)
        }
        for tissue, levels in generated.noise.items()
    }


class Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str):
        started = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - started, 3)
