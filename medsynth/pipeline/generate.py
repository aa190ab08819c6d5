"""The slices of a volume through the sampling loop, one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from medsynth.diffusion import samplers
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import Condition, KnownRegion, LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.noise import Draw
from medsynth.diffusion.sampling import CorrelatedNoise, guidance_errors, sample, slice_noise
from medsynth.diffusion.scanner_noise import NoiseLikeReference, ScannerNoise
from medsynth.domains import Preset
from medsynth.events import Listener, Stage
from medsynth.pipeline.plan import Prepared, Region
from medsynth.request import Request

# Air is the map's lower end, and half of it falls a hair below: that says nothing.
NEARLY = 0.02


@dataclass
class Generated:
    """`volume` (k, j, i) float32 in physical units: the reference with synthetic slices.

    `errors` maps each condition to its guidance error in every slice where it acts. `clipped` is the
    share of synthesized pixels beyond the intensity map by more than `NEARLY`. `noise` maps each
    tissue to the noise of every slice: wanted, of the sample, added (standard deviations).
    """

    volume: np.ndarray
    errors: dict[str, list[float]] = field(default_factory=dict)
    clipped: float = 0.0
    noise: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)


def generate(
    prepared: Prepared,
    denoiser: Denoiser,
    *,
    request: Request,
    preset: Preset,
    device: str,
    listener: Listener,
    expected: float | None = None,
) -> Generated:
    """Synthesize every slice of `prepared.change` and blend it into the reference.

    Slices share noise that is correlated along z, so that neighbours stay coherent. On the CPU one
    slice at a time: batching gains nothing there and would make the result depend on the batch.
    `expected`: the seconds that were estimated.
    """
    reference = sitk.GetArrayViewFromImage(prepared.reference.image)
    generated = Generated(np.array(reference, dtype=np.float32))
    wanted = prepared.slices
    sampler = samplers.build(request.sampler)
    step_mm = prepared.reference.image.GetSpacing()[2]
    noises = slice_noise(
        request.seed,
        [k * step_mm for k in range(wanted[-1] + 1)],
        size=reference.shape[1:],
        start=wanted[0],
    )
    loop_noise = CorrelatedNoise(
        request.seed, step_mm=step_mm, like=torch.empty(1, 1, 1, 1, device=device)
    )
    beyond = 0
    total = len(wanted) * request.steps
    with Stage("sampling", total=total, expected=expected, listener=listener) as stage:
        for (k,), noise in ((tuple(indices), noise) for indices, noise in noises):
            if k not in prepared.change:
                continue
            conditions = conditions_of_slice(prepared, k, request=request, preset=preset)
            draw = loop_noise.at(k)
            finish = noise_of_slice(prepared, k, request=request, preset=preset, draw=draw)
            x0 = sample(
                denoiser,
                sampler,
                steps=request.steps,
                noise=noise.to(device),
                conditions=[c.to(device) for c in conditions],
                draw=draw,
                on_step=lambda done, steps, k=k: stage.advance(message=f"slice {k + 1}", slice=k),
                finish=finish,
            )
            for tissue, levels in (finish.levels if finish else {}).items():
                generated.noise.setdefault(tissue, []).extend(levels)
            _record(generated.errors, guidance_errors(conditions, x0.cpu())[0])
            plane = x0[0, 0].float().cpu().numpy()
            beyond += int((np.abs(plane) > 1 + NEARLY).sum())
            _blend(generated.volume[k], plane, prepared, k, preset=preset)
    generated.clipped = beyond / (len(wanted) * reference[0].size)
    return generated


def conditions_of_slice(
    prepared: Prepared, k: int, *, request: Request, preset: Preset
) -> list[Condition]:
    """The conditions of slice k: all references in one guidance, and the background to keep."""
    values = sitk.GetArrayViewFromImage(prepared.reference.image)[k]
    anatomy = LowFrequency(
        name="anatomy",
        reference=_unit(values, preset),
        factor=request.anatomy.factor,
        stop_sigma=request.anatomy.stop.sigma,
        stop_fraction=request.anatomy.stop.fraction,
        filter=request.filter,
    )
    references = [anatomy]
    for index, region in enumerate(prepared.regions):
        weights = region.at(k)
        if weights is not None and weights.any():
            references.append(_lesion_reference(region, weights, index, k, request, preset))
    guidance = LowFrequencyGuidance(
        references, composition=request.composition, space=request.guidance
    )
    conditions: list[Condition] = [guidance]
    if request.background == "keep":
        kept = torch.from_numpy(1 - prepared.change[k])[None, None]
        conditions.append(
            KnownRegion(_unit(values, preset), kept, space=request.guidance, name="background")
        )
    return conditions


def noise_of_slice(
    prepared: Prepared, k: int, *, request: Request, preset: Preset, draw: Draw
) -> NoiseLikeReference | None:
    """What brings the noise of slice k to the reference's; None where it is the network's business."""
    if request.noise == "network":
        return None
    level = None if request.noise == "reference" else float(request.noise)
    return NoiseLikeReference(
        ScannerNoise(preset.noisy_tissues, level),
        _unit(sitk.GetArrayViewFromImage(prepared.reference.image)[k], preset),
        intensity=preset.intensity,
        factor=request.anatomy.factor,
        draw=draw,
    )


def _lesion_reference(
    region: Region, weights: np.ndarray, index: int, k: int, request: Request, preset: Preset
) -> LowFrequency:
    values = sitk.GetArrayViewFromImage(region.lesion.image)[k]
    return LowFrequency(
        name=f"pathologies[{index}]",
        reference=_unit(values, preset),
        factor=region.pathology.factor,
        weights=torch.from_numpy(weights)[None, None],
        stop_sigma=region.pathology.stop.sigma,
        stop_fraction=region.pathology.stop.fraction,
        filter=request.filter,
    )


def _unit(values: np.ndarray, preset: Preset) -> Tensor:
    return torch.from_numpy(preset.intensity.to_unit(values))[None, None]


def _record(errors: dict[str, list[float]], figures: dict[str, float | None]) -> None:
    for name, value in figures.items():
        if value is not None:
            errors.setdefault(name, []).append(value)


def _blend(
    target: np.ndarray, plane: np.ndarray, prepared: Prepared, k: int, *, preset: Preset
) -> None:
    """Put a synthetic slice into `target` (j, i), which holds the reference's.

    Voxels that the network cannot represent (padding outside the scanner's circle) and those with
    no weight stay exactly as they are.
    """
    values = np.rint(preset.intensity.from_unit(np.clip(plane, -1, 1)))
    weight = np.broadcast_to(np.float32(prepared.change[k]), target.shape)
    kept = (weight == 0) | (target < preset.intensity.physical[0])
    if prepared.reference.padding is not None:
        kept = kept | prepared.reference.padding[k]
    blended = np.where(weight == 1, values, np.rint(target + weight * (values - target)))
    target[~kept] = blended[~kept]


def worst(errors: Sequence[float]) -> float:
    """The largest error over the slices: the figure that is reported."""
    return max(errors)
