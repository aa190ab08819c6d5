"""Progressive GAN: unconditional, or near the latent of a class that was found after training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.generators.systems.base import Accepts, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.gan_images import GanImages

OPTIONS = {
    "truncation": "latents beyond twice this are drawn again: fewer odd images, less variety (default: 1, off)",
    "class_strength": "from 0 to 1: how near to the latent of the class (default: 0.8)",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> GanImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators.gan_images import GanImages

    return GanImages(request)


SYSTEM = SystemEntry(
    name="pggan",
    title="Progressive GAN with latents of classes",
    load=load,
    accepts=Accepts(classes_of_model=True, options=OPTIONS),
)
