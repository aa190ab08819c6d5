"""Guided diffusion: references and noise are put together, sampled and mapped back to units here.

Everything that samples behind a reference comes through `GuidedDiffusion`: synthesis, the sheets of
a training, evaluation, the benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medsynth.diffusion import samplers
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import Condition, KnownRegion, LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.noise import Draw, PerSampleNoise
from medsynth.diffusion.sampling import (
    CorrelatedNoise,
    OnStep,
    generators,
    guidance_errors,
    sample,
    silent,
    slice_noise,
)
from medsynth.diffusion.scanner_noise import NoiseLikeReference, ScannerNoise
from medsynth.domains import Preset
from medsynth.generators.base import Capabilities, MadeSlice, OnSlice, Reference, SliceTask
from medsynth.networks import load_denoiser, sha256
from medsynth.records.result import Checkpoint
from medsynth.request.model import Request

# Air is the map's lower end, and half of it falls a hair below: that says nothing.
NEARLY = 0.02
CALIBRATION_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class SampledBatch:
    """x0 (B, 1, H, W) as the loop left it, and the conditions that it followed."""

    x0: Tensor
    conditions: tuple[Condition, ...]
    preset: Preset

    @property
    def images(self) -> np.ndarray:
        """(B, H, W) float32 in physical units, within what the domain can represent."""
        return self.preset.intensity.from_unit(self.x0[:, 0].float().clamp(-1, 1).cpu().numpy())

    @property
    def beyond(self) -> int:
        """How many pixels the domain's intensity map cannot represent."""
        return int((self.x0.float().abs() > 1 + NEARLY).sum())

    @property
    def errors(self) -> list[dict[str, float | None]]:
        """How far each image is off what each reference asked, over its standard deviation."""
        return guidance_errors(self.conditions, self.x0)


@dataclass(frozen=True, eq=False)
class GuidedDiffusion:
    """A denoiser, a sampler and how references are composed; `steps` is the NFE.

    Attributes:
        composition, filter, space, noise: as `composition`, `filter`, `guidance` and `noise` of a
            request.
        checkpoint: the weights that `denoiser` was loaded from, for the record.
    """

    denoiser: Denoiser
    preset: Preset
    sampler: str | samplers.Sampler
    steps: int
    composition: str = "nested"
    filter: str = "dct"
    space: str = "x0"
    noise: str | float = "network"
    device: str = "cpu"
    checkpoint: Checkpoint | None = None

    name = "guided_diffusion"
    capabilities = Capabilities()

    @classmethod
    def of(
        cls,
        request: Request,
        denoiser: Denoiser,
        *,
        preset: Preset,
        device: str = "cpu",
        checkpoint: Checkpoint | None = None,
    ) -> GuidedDiffusion:
        """As a request asks for it."""
        return cls(
            denoiser,
            preset,
            sampler=request.sampler,
            steps=request.steps,
            composition=request.composition,
            filter=request.filter,
            space=request.guidance,
            noise=request.noise,
            device=device,
            checkpoint=checkpoint,
        )

    @cached_property
    def solver(self) -> samplers.Sampler:
        """The sampler itself."""
        return samplers.build(self.sampler) if isinstance(self.sampler, str) else self.sampler

    @property
    def sampler_name(self) -> str:
        """As a request names it; of a sampler that none can name, its class."""
        if isinstance(self.sampler, str):
            return self.sampler
        kind = type(self.sampler)
        names = (name for name, method in samplers.SAMPLERS.items() if method.load() is kind)
        return next(names, kind.__name__)

    def sample(
        self,
        noise: Tensor,
        *,
        conditions: Sequence[Condition] = (),
        generators: Sequence[torch.Generator] | None = None,
        draw: Draw | None = None,
        on_step: OnStep = silent,
        finish: NoiseLikeReference | None = None,
    ) -> SampledBatch:
        """One batch (B, 1, H, W); without conditions unconditional."""
        moved = tuple(condition.to(self.device) for condition in conditions)
        x0 = sample(
            self.denoiser,
            self.solver,
            steps=self.steps,
            noise=noise.to(self.device),
            conditions=moved,
            generators=generators,
            draw=draw,
            on_step=on_step,
            finish=finish,
        )
        return SampledBatch(x0, moved, self.preset)

    def guidance(self, images: Tensor, factor: int) -> LowFrequencyGuidance:
        """Each image of a batch (B, 1, H, W) in [-1, 1] as the only reference of its sample."""
        anatomy = LowFrequency("anatomy", images, factor, filter=self.filter)
        return LowFrequencyGuidance([anatomy], composition=self.composition, space=self.space)

    def follow(
        self, image: np.ndarray, *, factor: int, noise: Tensor, index: int, seed: int
    ) -> SampledBatch:
        """`image` (H, W) in physical units once more, as sample `index` of `seed`."""
        unit = self.unit(image)
        draw = PerSampleNoise(generators(seed, [index]), like=noise.to(self.device))
        return self.sample(
            noise,
            conditions=[self.guidance(unit, factor)],
            draw=draw,
            finish=self.finish(unit, factor, draw),
        )

    def finish(self, image: Tensor, factor: int, draw: Draw) -> NoiseLikeReference | None:
        """What brings a sample's noise to that of `image` (1, 1, H, W); None: the network's business."""
        if self.noise == "network":
            return None
        level = None if self.noise == "reference" else float(self.noise)
        return NoiseLikeReference(
            ScannerNoise(self.preset.noisy_tissues, level),
            image,
            intensity=self.preset.intensity,
            factor=factor,
            draw=draw,
        )

    def unit(self, values: np.ndarray) -> Tensor:
        """(H, W) in physical units as (1, 1, H, W) in [-1, 1]."""
        return torch.from_numpy(self.preset.intensity.to_unit(values))[None, None]

    def conditions(self, task: SliceTask) -> list[Condition]:
        """All references of a slice in one guidance, and the pixels that are known."""
        references = [self._low_frequency(reference) for reference in task.references]
        guidance = LowFrequencyGuidance(references, composition=self.composition, space=self.space)
        if task.known is None:
            return [guidance]
        known = torch.from_numpy(task.known)[None, None]
        anatomy = references[0].reference
        return [guidance, KnownRegion(anatomy, known, space=self.space, name="background")]

    def _low_frequency(self, reference: Reference) -> LowFrequency:
        weights = reference.weights
        return LowFrequency(
            name=reference.name,
            reference=self.unit(reference.values),
            factor=reference.factor,
            weights=None if weights is None else torch.from_numpy(weights)[None, None],
            stop_sigma=reference.stop.sigma,
            stop_fraction=reference.stop.fraction,
            filter=self.filter,
        )

    def check(self, task: SliceTask) -> None:
        """Refuse more steps than the sampler can take, or a composition that would diverge."""
        self.solver.plan(self.denoiser.schedule, self.steps)
        self.conditions(task)

    @torch.inference_mode()
    def seconds_per_slice(self, shape: tuple[int, int]) -> float:
        """`steps` network calls: the mean of up to three on one slice, after one that warms up.

        The mean and not the fastest: beside other programs it is what sampling will meet.
        """
        x = torch.zeros(1, 1, *shape, device=self.device)
        calls, started = 0, 0.0
        while calls < 2 or (calls < 4 and time.perf_counter() - started < CALIBRATION_SECONDS):
            if calls == 1:
                started = time.perf_counter()
            float(self.denoiser(x, self.denoiser.schedule.num_train_timesteps / 2).sum())
            calls += 1
        return (time.perf_counter() - started) / (calls - 1) * self.steps

    def generate(
        self,
        slices: Sequence[int],
        task: Callable[[int], SliceTask],
        *,
        seed: int,
        step_mm: float,
        on_step: OnSlice,
    ) -> Iterator[MadeSlice]:
        """The slices of a volume, with noise that is correlated along z so that they stay coherent.

        One slice at a time: on the CPU a batch gains nothing, and would make the result depend on it.
        """
        wanted = sorted(slices)
        size = task(wanted[0]).references[0].values.shape
        noises = slice_noise(
            seed, [k * step_mm for k in range(wanted[-1] + 1)], size=size, start=wanted[0]
        )
        like = torch.empty(1, 1, 1, 1, device=self.device)
        loop_noise = CorrelatedNoise(seed, step_mm=step_mm, like=like)
        for (k,), noise in ((tuple(indices), noise) for indices, noise in noises):
            if k not in slices:
                continue
            asked, draw = task(k), loop_noise.at(k)
            anatomy = asked.references[0]
            finish = self.finish(self.unit(anatomy.values), anatomy.factor, draw)
            made = self.sample(
                noise,
                conditions=self.conditions(asked),
                draw=draw,
                on_step=partial(on_step, k),
                finish=finish,
            )
            levels = finish.levels if finish else {}
            yield MadeSlice(k, made.images[0], made.errors[0], made.beyond, levels)

    def record(self) -> dict[str, Any]:
        """What `Result` says of how it was made."""
        return {
            "nfe": self.steps,
            "sampler": self.sampler_name,
            "device": self.device,
            "dtype": str(self.denoiser.dtype).removeprefix("torch."),
        }


def load(
    request: Request, *, preset: Preset, weights: Path, metadata: dict[str, Any], device: str
) -> GuidedDiffusion:
    """The generator of a request; `metadata` is what the header of `weights` says.

    Raises:
        CheckpointError: the weights are damaged.
    """
    found = weights.stat()
    denoiser, digest = _network(weights.absolute(), found.st_mtime_ns, found.st_size, device)
    checkpoint = Checkpoint(weights.name, digest, metadata.get("steps"))
    return GuidedDiffusion.of(
        request, denoiser, preset=preset, device=device, checkpoint=checkpoint
    )


@lru_cache(maxsize=1)
def _network(weights: Path, changed_ns: int, size: int, device: str) -> tuple[Denoiser, str]:
    """The network of a file and its SHA-256; the last one stays loaded while its file is the same."""
    return load_denoiser(weights, device=device), sha256(weights)
