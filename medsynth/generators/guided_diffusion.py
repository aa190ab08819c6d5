"""Guided diffusion: references and noise are put together, sampled and mapped back to units here.

Everything that samples behind a reference comes through `GuidedDiffusion`: synthesis, the sheets of
a training, evaluation, the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medsynth.diffusion import samplers
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import Condition, ReferenceGuidance, named_condition
from medsynth.diffusion.noise import Draw, PerSampleNoise
from medsynth.diffusion.sampling import (
    CorrelatedNoise,
    OnStep,
    generators,
    sample,
    silent,
    slice_noise,
)
from medsynth.diffusion.scanner_noise import NoiseLikeReference, ScannerNoise
from medsynth.domains import Preset
from medsynth.generators.base import (
    SURROUNDINGS,
    Capabilities,
    GeneratorMethod,
    MadeSlice,
    OnSlice,
    Reference,
    SliceTask,
)
from medsynth.generators.call_seconds import sampling_seconds
from medsynth.generators.exposed_field import ExposedField, exposed_field
from medsynth.generators.slice_batches import Asked, SampledBatch, batches, stacked
from medsynth.generators.surroundings import weights_around, without_own_noise
from medsynth.networks import load_denoiser, read_metadata, sha256
from medsynth.networks.experts import expert_file
from medsynth.records.result import Checkpoint
from medsynth.request.model import NamedCondition, Request

CUDA_BATCH, MOST_SLICES = 8, 256


@dataclass(frozen=True, eq=False)
class GuidedDiffusion:
    """A denoiser, a sampler and how references are composed; `steps` is the NFE.

    Attributes:
        guidance: makes conditions of references.
        noise, surroundings: as these keys of a request.
        slices_per_batch: slices of a volume that go through the network together; None: one on the
            CPU, where more gain nothing, `CUDA_BATCH` on CUDA.
        named: as `conditions` of a request; each follows the anatomy.
        checkpoint: the weights that `denoiser` was loaded from, for the record.

    Raises:
        ValueError: no number of slices.
    """

    denoiser: Denoiser
    preset: Preset
    sampler: str | samplers.Sampler
    steps: int
    guidance: ReferenceGuidance = ReferenceGuidance()
    noise: str | float = "network"
    surroundings: str = "network"
    named: tuple[NamedCondition, ...] = ()
    device: str = "cpu"
    slices_per_batch: int | None = None
    checkpoint: Checkpoint | None = None

    name = "guided_diffusion"
    capabilities = Capabilities(conditions=True)

    def __post_init__(self) -> None:
        wanted = self.slices_per_batch
        if wanted is not None and not (type(wanted) is int and 1 <= wanted <= MOST_SLICES):
            raise ValueError(
                f"slices_per_batch must be from 1 to {MOST_SLICES}, got {wanted!r}; leave it out for "
                "what the device takes"
            )

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
            guidance=guidance_of(request),
            noise=request.noise,
            surroundings=request.surroundings,
            named=request.conditions,
            device=device,
            checkpoint=checkpoint,
        )

    @property
    def batch(self) -> int:
        """How many slices go through the network together."""
        return self.slices_per_batch or (CUDA_BATCH if self.device.startswith("cuda") else 1)

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
        names = (name for name, method in samplers.SAMPLERS.items() if method.load().make is kind)
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

    def guided_by(self, images: Tensor, factor: int) -> list[Condition]:
        """Each image of a batch (B, 1, H, W) in [-1, 1] as the only reference of its sample."""
        return self.guidance.conditions([self.guidance.reference("anatomy", images, factor)])

    def follow(
        self, image: np.ndarray, *, factor: int, noise: Tensor, index: int, seed: int
    ) -> SampledBatch:
        """`image` (H, W) in physical units once more, as sample `index` of `seed`."""
        draw = PerSampleNoise(generators(seed, [index]), like=noise.to(self.device))
        return self._drawn([SliceTask((Reference("anatomy", image, factor),))], noise, draw)

    def _drawn(
        self, asked: Sequence[SliceTask], noise: Tensor, draw: Draw, *, on_step: OnStep = silent
    ) -> SampledBatch:
        """What a batch follows, put together and sampled with noise (B, 1, H, W)."""
        tasks, fields = zip(*(self._continued(task) for task in asked), strict=True)
        anatomies = [task.references[0] for task in tasks]
        finish = self.finish(self.unit(*(a.values for a in anatomies)), anatomies[0].factor, draw)
        conditions = self.conditions(*self._with_surroundings(tasks, draw))
        made = self.sample(noise, conditions=conditions, draw=draw, on_step=on_step, finish=finish)
        return replace(made, fields=fields, noise=finish.levels if finish else {})

    def _continued(self, task: SliceTask) -> tuple[SliceTask, ExposedField | None]:
        """The task with mammograms continued past their edge, and where that of the anatomy lies."""
        if self.surroundings == "network" or not self.preset.is_projection:
            return task, None
        field = exposed_field(task.references[0].values, self.preset)
        if field is None:
            return task, None
        references = tuple(replace(r, values=field.continued(r.values)) for r in task.references)
        return replace(task, references=references), field

    def _with_surroundings(self, tasks: Sequence[SliceTask], draw: Draw) -> list[SliceTask]:
        """The slices of a batch, with what lies around the body as one more reference of factor 1.

        Not in Eq. 4 as printed, which admits no band twice, nor where the background is kept anyway.
        """
        no_band_twice = getattr(self.guidance, "composition", None) == "sum"
        if self.surroundings == "network" or self.preset.is_projection or no_band_twice:
            return list(tasks)
        weights = [_weights_around(task, self.preset) for task in tasks]
        if tasks[0].known is not None or not any(w.any() for w in weights):
            return list(tasks)
        white = draw((1, *weights[0].shape))[:, 0].double().cpu().numpy()
        found = []
        for task, own, noise in zip(tasks, weights, white, strict=True):
            anatomy = task.references[0]
            values = without_own_noise(anatomy.values, own, noise, self.preset)
            around = Reference(SURROUNDINGS, values, 1, anatomy.stop, own)
            found.append(replace(task, references=(*task.references, around)))
        return found

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

    def unit(self, *planes: np.ndarray) -> Tensor:
        """Planes (H, W) in physical units as (B, 1, H, W) in [-1, 1]."""
        return stacked([self.preset.intensity.to_unit(values) for values in planes])

    def conditions(self, *tasks: SliceTask) -> list[Condition]:
        """What is named, then all references of slices of one layout, then the pixels that are known.

        In this order: the references and the known pixels have the last word.
        """
        references = []
        for same in zip(*(task.references for task in tasks), strict=True):
            first, maps = same[0], [part.weights for part in same if part.weights is not None]
            references.append(
                self.guidance.reference(
                    first.name,
                    self.unit(*(part.values for part in same)).to(self.device),
                    first.factor,
                    weights=stacked(maps).to(self.device) if maps else None,
                    stop_sigma=first.stop.sigma,
                    stop_fraction=first.stop.fraction,
                )
            )
        anatomy = references[0].reference
        named = [named_condition(each.kind, anatomy, **each.options) for each in self.named]
        known = [task.known for task in tasks if task.known is not None]
        guided = self.guidance.conditions(
            references, stacked(known).to(self.device) if known else None
        )
        return [*named, *guided]

    def check(self, task: SliceTask) -> None:
        """Refuse more steps than the sampler can take, or a composition that would diverge."""
        self.solver.plan(self.denoiser.schedule, self.steps)
        self.conditions(task)

    @torch.inference_mode()
    def seconds_per_slice(self, shape: tuple[int, int]) -> float:
        """Of all network calls, from a few that are timed; a batch's time is shared by its slices."""
        x = torch.zeros(self.batch, 1, *shape, device=self.device)
        return sampling_seconds(self.denoiser, self.solver, self.steps, x) / self.batch

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

        A slice does not depend on its batch, but for the rounding of the network.
        """
        wanted = sorted(slices)
        height, width = task(wanted[0]).references[0].values.shape
        noises = slice_noise(
            seed,
            [k * step_mm for k in range(wanted[-1] + 1)],
            size=(height, width),
            start=wanted[0],
        )
        like = torch.empty(1, 1, 1, 1, device=self.device)
        loop_noise = CorrelatedNoise(seed, step_mm=step_mm, like=like)
        asked = ((k, task(k), noise) for (k,), noise in noises if k in slices)
        for batch in batches(asked, self.batch):
            indices = [k for k, _, _ in batch]
            yield from self._generate(batch, loop_noise.of_batch(indices), on_step)

    def _generate(self, batch: Sequence[Asked], draw: Draw, on_step: OnSlice) -> list[MadeSlice]:
        indices, tasks, noises = zip(*batch, strict=True)

        def step(done: int, steps: int) -> None:
            for k in indices:
                on_step(k, done, steps)

        made = self._drawn(tasks, torch.cat(noises), draw, on_step=step)
        images, errors, outside = made.images, made.errors, made.beyond
        return [
            MadeSlice(
                k,
                images[b],
                errors[b],
                outside[b],
                # By tissue, of all slices together: one of them brings the record.
                made.noise if not b else {},
            )
            for b, k in enumerate(indices)
        ]

    def record(self) -> dict[str, Any]:
        """What `Result` says of how it was made."""
        return {
            "nfe": self.steps,
            "sampler": self.sampler_name,
            "device": self.device,
            "dtype": str(self.denoiser.dtype).removeprefix("torch."),
        }


def guidance_of(request: Request) -> ReferenceGuidance:
    """As a request describes it."""
    return ReferenceGuidance(
        composition=request.composition, filter=request.filter, space=request.guidance
    )


def _weights_around(task: SliceTask, preset: Preset) -> np.ndarray:
    """How far each pixel lies around the body, and in no lesion's part of the plane."""
    weights = weights_around(task.references[0].values, preset)
    for lesion in task.references[1:]:
        weights = weights * (0 if lesion.weights is None else 1 - lesion.weights)
    return weights.astype(np.float32)


def load(
    request: Request, *, preset: Preset, weights: Path, metadata: dict[str, Any], device: str
) -> GuidedDiffusion:
    """The generator of a request; `metadata` is what the header of `weights` says.

    Raises:
        CheckpointError: the weights are damaged.
    """
    expert = expert_file(weights, metadata, request.expert)
    files = tuple(_version(file) for file in (weights, expert and expert.path) if file)
    denoiser, digest, used = _network(files, request.expert, device)
    checkpoint = Checkpoint(weights.name, digest, metadata.get("steps"), used)
    return GuidedDiffusion.of(
        request, denoiser, preset=preset, device=device, checkpoint=checkpoint
    )


def _version(file: Path) -> tuple[Path, int, int]:
    """A file, and what changes when it does."""
    found = file.stat()
    return file.absolute(), found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _network(
    files: tuple[tuple[Path, int, int], ...], expert: Path | str | None, device: str
) -> tuple[Denoiser, str, Checkpoint | None]:
    """The network of the first file, its SHA-256, and what is to be recorded of its expert.

    The last ones stay loaded while the files are the same.
    """
    weights = files[0][0]
    found = expert_file(weights, read_metadata(weights), expert)
    denoiser = load_denoiser(weights, device=device, expert=expert)
    return denoiser, sha256(weights), found.checkpoint() if found else None


GENERATOR = GeneratorMethod(title="Guided diffusion, conditioned on references", make=load, rank=1)
