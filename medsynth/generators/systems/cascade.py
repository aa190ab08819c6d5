"""Unconditional images of our own pixel-space networks: what guided synthesis draws without a reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.generators.systems.base import Accepts, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.pixel_images import PixelImages

OPTIONS = {
    "steps": "network calls an image (default: 25)",
    "sampler": "as in a request (default: the preset's)",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> PixelImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators.pixel_images import PixelImages

    return PixelImages(request, listener=listener)


SYSTEM = SystemEntry(
    name="cascade",
    title="Our pixel-space networks without a reference, behind a small one that draws the shape",
    load=load,
    accepts=Accepts(options=OPTIONS),
    license="that of the network, see its card",
)
