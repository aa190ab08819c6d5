"""Images of a progressive GAN for `medsynth generate`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from medsynth import domains
from medsynth.diffusion.noise import generators
from medsynth.generators.system_parts import in_units, model_path, number
from medsynth.generators.systems.base import GeneratedImage, ImageRequest
from medsynth.networks import progressive_gan
from medsynth.storage.files import sha256

MODEL = "pggan_chest_xray_64"


class GanImages:
    """Images at the network's own size; see `ImageSystem`.

    Raises:
        ValueError: a class that the network has no latent of, another domain, or an option out of range.
        CheckpointError: the weights are missing or damaged.
    """

    def __init__(self, request: ImageRequest):
        self.request = request
        self.truncation = number(request, "truncation", 1.0, 0.1, 1.0)
        self.strength = number(request, "class_strength", 0.8, 0.0, 1.0)
        path = model_path(request, MODEL, recipe="pggan_64")
        self.gan = progressive_gan.load(path)
        known = ", ".join(self.gan.classes) or "no class"
        if request.label and request.label not in self.gan.classes:
            raise ValueError(f"--class {request.label}: this model knows {known}")
        if request.preset and request.preset != self.gan.preset:
            raise ValueError(f"--preset {request.preset}: this model makes {self.gan.preset}")
        self.preset = domains.get(self.gan.preset)
        self.about = {"model": path.name, "model_sha256": sha256(path)}

    def estimate(self, count: int) -> str:
        """Nothing to speak of."""
        side = progressive_gan.SMALLEST * 2**self.gan.level
        return f"{count} images of {self.preset.title} at {side} x {side}"

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """These images."""
        for index in indices:
            started = time.monotonic()
            latents = self.gan.latents(
                generators(self.request.seed, [index]),
                label=self.request.label,
                strength=self.strength,
                truncation=self.truncation,
            )
            unit = self.gan.images(latents)[0, 0].numpy()
            record = {
                **self.about,
                "class": self.request.label,
                "truncation": self.truncation,
                "class_strength": self.strength if self.request.label else None,
                "seconds": round(time.monotonic() - started, 4),
            }
            yield GeneratedImage(
                index, in_units(unit, self.preset), record, preset=self.preset.name
            )

    def stored(self, image: GeneratedImage) -> None:
        """Nothing is kept."""
