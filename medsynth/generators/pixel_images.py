"""Unconditional images of our own networks for `medsynth generate`, see `medsynth.generators.cascade`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from medsynth import domains
from medsynth.diffusion.sampling import generators, slice_noise
from medsynth.errors import CheckpointError
from medsynth.events import Event, Listener
from medsynth.generators.cascade import load_low_pass_network, sample_unguided
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.generators.system_parts import in_units, sampler_of, whole_number
from medsynth.generators.systems.base import GeneratedImage, ImageRequest
from medsynth.networks import load_denoiser, model_store, read_metadata, sha256

STEPS = 25


class PixelImages:
    """Images of one of our networks without a reference; see `ImageSystem`.

    Raises:
        ValueError: no domain is named, or an unknown option's value.
        CheckpointError: the weights are missing, damaged, or of another domain.
    """

    def __init__(self, request: ImageRequest, *, listener: Listener):
        if not request.preset:
            raise ValueError(
                f"cascade makes images of one domain; say which with --preset "
                f"({', '.join(domains.PRESETS)})"
            )
        self.request, self.preset = request, domains.get(request.preset)
        self.steps = whole_number(request, "steps", STEPS, 1, 1000)
        self.sampler = sampler_of(request, self.preset.sampler)
        weights = (
            Path(request.model) if request.model else model_store.path(str(self.preset.weights))
        )
        found = read_metadata(weights)["preset"]
        if found != self.preset.name:
            raise CheckpointError(f"{weights} is of {found}, not of {self.preset.name}")
        self.generator = GuidedDiffusion(
            load_denoiser(weights), self.preset, self.sampler, self.steps
        )
        self.low_pass = None
        self.about = {"model": weights.name, "model_sha256": sha256(weights)}
        if self.preset.low_pass_weights and self.generator.denoiser.reference_conditioned:
            path = model_store.path(self.preset.low_pass_weights)
            self.low_pass = load_low_pass_network(path, preset=self.preset.name)
            self.about["low_pass_sha256"] = sha256(path)
        elif self.generator.denoiser.reference_conditioned:
            words = (
                f"no network draws low-pass images of {self.preset.name}, so that the shape of unconditional "
                "images is poor; latent_diffusion is the better choice"
            )
            listener(Event("warning", message=words))

    def estimate(self, count: int) -> str:
        """What these images will take, measured now."""
        seconds = self.generator.seconds_per_slice(self.preset.grid)
        return f"{count} images of {self.preset.title}, about {count * seconds:.0f} s"

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """These images."""
        seed = self.request.seed
        for index in indices:
            started = time.monotonic()
            ((_, noise),) = slice_noise(seed, [index], size=self.preset.grid, length_mm=0)
            batch = sample_unguided(
                self.generator,
                noise,
                generators=generators(seed, [index]),
                low_pass_network=self.low_pass,
            )
            record = {
                **self.about,
                "steps": self.steps,
                "sampler": self.sampler,
                "seconds": round(time.monotonic() - started, 3),
            }
            values = in_units(self.preset.intensity.to_unit(batch.images[0]), self.preset)
            yield GeneratedImage(index, values, record, preset=self.preset.name)

    def stored(self, image: GeneratedImage) -> None:
        """Nothing is kept."""
