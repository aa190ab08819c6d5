"""Latent diffusion: unconditional or by class, from the shipped weights, your own or a MONAI bundle's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.generators.systems.base import Accepts, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.latent_images import LatentImages

OPTIONS = {
    "steps": "network calls an image, doubled by guidance (default: 25)",
    "guidance_scale": "of classifier-free guidance: 1 is none (default: 2 with a class)",
    "sampler": "as in a request (default: dpmpp_2m)",
    "scale_factor": "of a bundle's latents, where the bundle does not say it (default: 1)",
    "values": "unit (default) or signed: a bundle's images lie in 0 to 1 or in -1 to 1",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> LatentImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators import latent_images, system_parts
    from medsynth.generators.latent_sampling import WantedImage

    model, path = latent_images.open_model(request)
    preset = latent_images.preset_of(request, model)
    words = (request.label,) if request.label else ()
    if words:
        latent_images.check_words(words, model, what="--class")
    default = latent_images.SCALE if words else 1.0
    scale = system_parts.number(request, "guidance_scale", default, 0.0, 30.0)
    return latent_images.LatentImages(
        model, request, (WantedImage(preset, words, scale),), source=path
    )


SYSTEM = SystemEntry(
    name="latent_diffusion",
    title="Latent diffusion, from the shipped weights, your own or a MONAI bundle's folder",
    load=load,
    accepts=Accepts(classes_of_model=True, options=OPTIONS),
)
