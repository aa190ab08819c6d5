"""The slices of a volume through a generator, blended into the reference one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.domains import Preset
from medsynth.events import Listener, Stage
from medsynth.generators.base import Generator, Reference, SliceTask
from medsynth.marking.manifest import check_signing
from medsynth.pipeline.marks import PixelMark, digest_of
from medsynth.pipeline.plan import Prepared
from medsynth.request import Request


@dataclass
class Generated:
    """`volume` (k, j, i) float32 in physical units: the reference with synthetic slices.

    `errors` maps each reference to its guidance error in every slice where it acts. `clipped` is the
    share of synthesized pixels that the domain's intensity map could not represent.
    `noise` maps each tissue to the noise of every slice: wanted, of the sample, added (standard deviations).
    `pixel_mark` and `digests` are as in `Result`.
    """

    volume: np.ndarray
    errors: dict[str, list[float]] = field(default_factory=dict)
    clipped: float = 0.0
    noise: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    pixel_mark: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def generate(
    prepared: Prepared,
    generator: Generator,
    *,
    request: Request,
    preset: Preset,
    listener: Listener,
    expected: float | None = None,
) -> Generated:
    """Synthesize every slice of `prepared.change` and blend it into the reference.

    `expected`: the seconds that were estimated.
    """
    reference = sitk.GetArrayViewFromImage(prepared.reference.image)
    generated = Generated(np.array(reference, dtype=np.float32))
    wanted = prepared.slices
    mark = PixelMark.of(request, preset)
    if "preview" in request.write:
        check_signing()
    beyond = 0
    total = len(wanted) * request.steps
    with Stage("sampling", total=total, expected=expected, listener=listener) as stage:
        made = generator.generate(
            wanted,
            lambda k: task_of_slice(prepared, k, request=request),
            seed=request.seed,
            step_mm=prepared.reference.image.GetSpacing()[2],
            on_step=lambda k, done, steps: stage.advance(message=f"slice {k + 1}", slice=k),
        )
        for part in made:
            _record(generated.errors, part.errors)
            for tissue, levels in part.noise.items():
                generated.noise.setdefault(tissue, []).extend(levels)
            beyond += part.beyond
            plane = generated.volume[part.index]
            weight = _blend(plane, part.values, prepared, part.index, preset=preset)
            mark.apply(plane, weight)
            generated.digests[str(part.index)] = digest_of(plane)
    generated.pixel_mark = mark.record()
    generated.clipped = beyond / (len(wanted) * reference[0].size)
    return generated


def task_of_slice(prepared: Prepared, k: int, *, request: Request) -> SliceTask:
    """What slice k follows: the anatomy, the lesions in it, and the background to keep."""
    values = sitk.GetArrayViewFromImage(prepared.reference.image)[k]
    anatomy = request.anatomy
    references = [Reference("anatomy", values, anatomy.factor, anatomy.stop)]
    for index, region in enumerate(prepared.regions):
        weights = region.at(k)
        if weights is not None and weights.any():
            lesion = sitk.GetArrayViewFromImage(region.lesion.image)[k]
            factor, stop = region.pathology.factor, region.pathology.stop
            references.append(Reference(f"pathologies[{index}]", lesion, factor, stop, weights))
    keep = request.background == "keep"
    known = 1 - np.broadcast_to(prepared.change[k], values.shape) if keep else None
    return SliceTask(tuple(references), known)


def _record(errors: dict[str, list[float]], figures: dict[str, float | None]) -> None:
    for name, value in figures.items():
        if value is not None:
            errors.setdefault(name, []).append(value)


def _blend(
    target: np.ndarray, plane: np.ndarray, prepared: Prepared, k: int, *, preset: Preset
) -> np.ndarray:
    """Put a synthetic slice into `target` (j, i), which holds the reference's; how much of each pixel.

    Voxels that the network cannot represent (padding outside the scanner's circle) and those with
    no weight stay exactly as they are.
    """
    values = np.rint(plane)
    weight = np.broadcast_to(np.float32(prepared.change[k]), target.shape)
    kept = (weight == 0) | (target < preset.intensity.physical[0])
    if prepared.reference.padding is not None:
        kept = kept | prepared.reference.padding[k]
    blended = np.where(weight == 1, values, np.rint(target + weight * (values - target)))
    target[~kept] = blended[~kept]
    return np.where(kept, np.float32(0), weight)


def worst(errors: Sequence[float]) -> float:
    """The largest error over the slices: the figure that is reported."""
    return max(errors)
