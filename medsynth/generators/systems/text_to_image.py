"""Our small text-to-image: a latent diffusion model that knows the words of its training table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.datasets.captions import POSITIONS, domain_word, split_prompt
from medsynth.generators.systems.base import Accepts, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.latent_images import LatentImages
    from medsynth.generators.latent_sampling import WantedImage
    from medsynth.networks.latent_file import LatentModel

OPTIONS = {
    "steps": "network calls an image, doubled by guidance (default: 25)",
    "guidance_scale": "of classifier-free guidance: 1 is none (default: 2)",
    "sampler": "as in a request (default: dpmpp_2m)",
    "place": "drawn (default): the opacity of a finding is drawn where its position says; or words",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> LatentImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators import latent_images

    model, path = latent_images.open_model(request)
    wanted = tuple(_wanted(prompt, request, model) for prompt in request.prompts)
    return latent_images.LatentImages(model, request, wanted, source=path)


def _wanted(prompt: str, request: ImageRequest, model: LatentModel) -> WantedImage:
    """A prompt as words; its domain is in it, or in --preset."""
    from medsynth import domains
    from medsynth.generators import latent_images, system_parts
    from medsynth.generators.latent_sampling import WantedImage

    said = split_prompt(prompt)
    if request.position:
        said = (*said, *(() if request.position in said else (request.position,)))
    names = {domain_word(domains.get(name)): name for name in model.presets}
    named = [names[word] for word in said if word in names]
    if len(named) > 1 or (named and request.preset and named[0] != request.preset):
        raise ValueError(f"prompt {prompt!r} names another domain than --preset, or two; say one")
    preset = named[0] if named else latent_images.preset_of(request, model)
    unwanted = split_prompt(request.negative_prompt)
    latent_images.check_words((*said, *unwanted), model, what="prompt:")
    words = tuple(word for word in said if word not in names)
    scale = system_parts.number(request, "guidance_scale", latent_images.SCALE, 0.0, 30.0)
    return WantedImage(preset, words, scale, unwanted)


SYSTEM = SystemEntry(
    name="text_to_image",
    title="Small text-to-image of our own: a few words",
    load=load,
    accepts=Accepts(prompts=True, negative_prompt=True, positions=POSITIONS, options=OPTIONS),
)
