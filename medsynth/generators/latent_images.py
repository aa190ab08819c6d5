"""Images of a latent diffusion model for `medsynth generate`, one at a time: none depends on another."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medsynth import domains
from medsynth.datasets.captions import POSITIONS
from medsynth.errors import CheckpointError
from medsynth.generators import drawn_position
from medsynth.generators.latent_sampling import (
    SAMPLER,
    WantedImage,
    denoise_again,
    sample_images,
)
from medsynth.generators.system_parts import (
    WEIGHTS,
    in_units,
    model_path,
    number,
    sampler_of,
    whole_number,
)
from medsynth.generators.systems.base import GeneratedImage, ImageRequest
from medsynth.networks import latent_file, zoo_bundle
from medsynth.networks.latent_file import LatentModel
from medsynth.storage.files import sha256

MODEL = "latent_256"
STEPS = 25
BY_WORDS = "words alone, which were not seen to steer where a finding lies"
BY_DRAWING = (
    "an opacity drawn into the lung that was found in a first image, noised and denoised again"
)
SCALE = 2.0  # of classifier-free guidance, where words are said
# How a position is made: drawn and denoised from this log-SNR in so many calls, or by its words alone.
PLACES = ("drawn", "words")
LOG_SNR_OF_DRAWN, STEPS_OF_DRAWN = 1.0, 12


class LatentImages:
    """Makes what `wanted(i)` says; see `ImageSystem`."""

    def __init__(
        self,
        model: LatentModel,
        request: ImageRequest,
        wanted: tuple[WantedImage, ...],
        *,
        source: Path,
    ):
        self.model, self.request, self.wanted = model, request, wanted
        self.preset = domains.get(wanted[0].preset)
        self.steps = whole_number(request, "steps", STEPS, 1, 1000)
        self.sampler = sampler_of(request, SAMPLER)
        self.place = str(request.options.get("place", PLACES[0]))
        self._check_place()
        self.about = {"model": source.name}
        if source.is_file():
            self.about["model_sha256"] = sha256(source)

    def estimate(self, count: int) -> str:
        """How many network calls that are."""
        steps = self.steps + (STEPS_OF_DRAWN if any(map(self._drawable, self.wanted)) else 0)
        calls = steps * (1 if self.wanted[0].scale == 1 else 2)
        return f"{count} images of {self.preset.title}, {calls} network calls each"

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """These images."""
        for index in indices:
            wanted = self.wanted[index % len(self.wanted)]
            started = time.monotonic()
            made = sample_images(
                self.model,
                wanted,
                [index],
                seed=self.request.seed,
                steps=self.steps,
                sampler=self.sampler,
            )
            values = in_units(made[0, 0].cpu().numpy(), domains.get(wanted.preset))
            values, place = self._placed(values, wanted, index)
            record = {
                **self.about,
                "words": list(wanted.said),
                **place,
                "guidance_scale": wanted.scale,
                "steps": self.steps,
                "sampler": self.sampler,
                "seconds": round(time.monotonic() - started, 3),
            }
            if self.request.prompts:
                record["prompt"] = self.request.prompt(index)
            yield GeneratedImage(index, values, record, preset=wanted.preset)

    def _check_place(self) -> None:
        """An option that cannot act is refused."""
        if "place" in self.request.options and not any(
            drawn_position.drawable(wanted.preset, wanted.words) for wanted in self.wanted
        ):
            raise ValueError(
                f"--set place={self.place}: acts on a chest x-ray with one of "
                f"{', '.join(drawn_position.OPAQUE)} and a position with a side; no prompt names both"
            )

    def _drawable(self, wanted: WantedImage) -> tuple[str, ...]:
        if self.place != PLACES[0]:
            return ()
        return drawn_position.drawable(wanted.preset, wanted.words)

    def _placed(
        self, values: np.ndarray, wanted: WantedImage, index: int
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The image (H, W) with its finding where the words say, and what the record says of the place."""
        if not set(wanted.words) & set(POSITIONS):
            return values, {}
        drawn, found = drawn_position.draw(
            values, self._drawable(wanted), seed=drawn_position.seed_of(self.request.seed, index)
        )
        if not found:
            return values, {"position": {"made_by": BY_WORDS}}
        preset = domains.get(wanted.preset)
        made = denoise_again(
            self.model,
            wanted,
            torch.from_numpy(preset.intensity.to_unit(drawn))[None, None].float(),
            [index],
            log_snr=LOG_SNR_OF_DRAWN,
            seed=self.request.seed,
            steps=STEPS_OF_DRAWN,
            sampler=self.sampler,
        )
        place = {
            "made_by": BY_DRAWING,
            "log_snr": LOG_SNR_OF_DRAWN,
            "steps": STEPS_OF_DRAWN,
            "drawn": drawn_position.record(found),
        }
        return in_units(made[0, 0].cpu().numpy(), preset), {"position": place}

    def stored(self, image: GeneratedImage) -> None:
        """Nothing is kept."""


def open_model(request: ImageRequest) -> tuple[LatentModel, Path]:
    """The model that a request names: a file or run of ours, a network of the model store, or a bundle's folder.

    Raises:
        CheckpointError: it is missing, damaged or of another kind.
        ValueError: an option that sampling would refuse, before a model is read; or a bundle whose
            domain is not said.
    """
    _check_options(request)
    preset = request.preset
    given = model_path(request, MODEL, recipe="ldm_small")
    if not given.is_dir():
        return latent_file.load(given), given
    if not zoo_bundle.is_bundle(given):
        raise CheckpointError(
            f"{given} is neither a MONAI bundle (configs/inference.json) nor a training's folder "
            f"({WEIGHTS})"
        )
    if not preset:
        raise ValueError(
            f"{given} does not say what its images are; give --preset, such as brain_mri"
        )
    options = request.options
    model = zoo_bundle.load(
        given,
        preset=preset,
        scale_factor=number(request, "scale_factor", 1.0, 1e-6, 1e6),
        values=(-1.0, 1.0) if options.get("values") == "signed" else (0.0, 1.0),
    )
    return model, given


def preset_of(request: ImageRequest, model: LatentModel) -> str:
    """The domain that is asked for, or the model's only one.

    Raises:
        ValueError: it makes several, and none is named; or it does not make the one that is.
    """
    made = ", ".join(model.presets)
    if request.preset and request.preset not in model.presets:
        raise ValueError(f"--preset {request.preset}: this model makes {made}")
    if not request.preset and len(model.presets) > 1:
        raise ValueError(f"this model makes {made}; say which with --preset")
    return request.preset or model.presets[0]


def _check_options(request: ImageRequest) -> None:
    whole_number(request, "steps", STEPS, 1, 1000)
    sampler_of(request, SAMPLER)
    if (place := request.options.get("place", PLACES[0])) not in PLACES:
        raise ValueError(f"--set place={place}: expected {' or '.join(PLACES)}")
    if (values := request.options.get("values", "unit")) not in ("unit", "signed"):
        raise ValueError(f"--set values={values}: expected unit or signed")


def check_words(words: Iterable[str], model: LatentModel, *, what: str) -> None:
    """Refuse what the model does not know.

    Raises:
        ValueError: the message lists the words that it knows.
    """
    if not model.vocabulary:
        raise ValueError(f"{what}: this model takes no words; it makes images of its domain only")
    for word in words:
        if word not in model.vocabulary:
            raise ValueError(
                f"{what} {word!r} is none of the words that this model knows: "
                f"{', '.join(model.vocabulary)}"
            )
