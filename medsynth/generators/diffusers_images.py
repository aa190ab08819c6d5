"""Images of a diffusers pipeline for `medsynth generate`: prompts, LoRA, and an image to start from.

The pipeline makes 8-bit color images. What is kept is the mean of their channels: gray values of 8 bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsynth.diffusion.noise import generators
from medsynth.generators.system_parts import number, whole_number
from medsynth.generators.systems.base import GeneratedImage, ImageRequest
from medsynth.images import read_image, to_display_units
from medsynth.networks import diffusers_pipelines

if TYPE_CHECKING:
    from PIL.Image import Image

    from medsynth.events import Listener


class DiffusersImages:
    """Images of one pipeline; see `ImageSystem`.

    Raises:
        ValueError: an option that cannot be used.
        CheckpointError: the pipeline or its LoRA weights are missing or damaged.
        MissingExtra: diffusers is not installed.
    """

    def __init__(self, request: ImageRequest, *, listener: Listener):
        self.request, options = request, request.options
        self.steps = whole_number(request, "steps", 30, 1, 1000)
        self.scale = number(request, "guidance_scale", 7.5, 0.0, 50.0)
        self.strength = number(request, "strength", 0.6, 0.01, 1.0)
        if "strength" in options and "image" not in options:
            raise ValueError("--set strength acts on --set image=FILE; give that, or leave it out")
        self.pipeline = diffusers_pipelines.open_pipeline(
            request.model,
            lora=str(options.get("lora", "")),
            download=bool(options.get("download", False)),
            device=_device(str(options.get("device", "auto"))),
        )
        side = diffusers_pipelines.pipeline_side(self.pipeline)
        self.size = tuple(_side(request, key, side) for key in ("width", "height"))
        self.start = (
            _starting_image(str(options["image"]), self.size) if "image" in options else None
        )
        if self.start is not None:
            self.pipeline = diffusers_pipelines.image_to_image(self.pipeline)

    def estimate(self, count: int) -> str:
        """How many network calls that are."""
        calls = self.steps * (2 if self.scale > 1 else 1)
        width, height = self.size
        return f"{count} images of {width} x {height}, {calls} network calls each, 8 bits of gray"

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """These images."""
        for index in indices:
            started = time.monotonic()
            prompt = self.prompt(index)
            color = self._made(prompt, index)
            record = {
                "prompt": prompt,
                "negative_prompt": self.request.negative_prompt,
                "model": self.request.model,
                "lora": self.request.options.get("lora", ""),
                "guidance_scale": self.scale,
                "steps": self.steps,
                "strength": self.strength if self.start is not None else None,
                "gray": "mean of three 8-bit channels",
                "seconds": round(time.monotonic() - started, 3),
            }
            yield GeneratedImage(index, to_gray(color), record)

    def stored(self, image: GeneratedImage) -> None:
        """Nothing is kept."""

    def prompt(self, index: int) -> str:
        """The prompt of an image, with the position that is asked for."""
        prompt = self.request.prompt(index)
        return f"{prompt}, {self.request.position}" if self.request.position else prompt

    def _made(self, prompt: str, index: int) -> np.ndarray:
        width, height = self.size
        more: dict[str, Any] = {"width": width, "height": height}
        if self.start is not None:
            more = {"image": self.start, "strength": self.strength}
        return self.pipeline(
            prompt=prompt,
            negative_prompt=self.request.negative_prompt or None,
            num_inference_steps=self.steps,
            guidance_scale=self.scale,
            generator=generators(self.request.seed, [index])[0],
            output_type="np",
            **more,
        ).images[0]


def to_gray(color: np.ndarray) -> np.ndarray:
    """The mean of the channels (H, W, 3) in [0, 1] as 8-bit gray values."""
    return np.rint(255 * np.clip(color, 0, 1).mean(axis=2)).astype(np.uint8)


def _device(wanted: str) -> str:
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--set device={wanted}: expected auto, cpu or cuda")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def _side(request: ImageRequest, key: str, default: int) -> int:
    side = whole_number(request, key, default, 8, 4096)
    if side % 8:
        raise ValueError(f"--set {key}={side}: expected a multiple of 8")
    return side


def _starting_image(file: str, size: tuple[int, ...]) -> Image:
    """A picture or DICOM file as a color picture of the pipeline's size."""
    from PIL import Image

    read = read_image(Path(file).expanduser())
    import SimpleITK as sitk

    values = sitk.GetArrayFromImage(read.image)
    if len(values) != 1:
        raise ValueError(f"{file} holds {len(values)} slices; start from one image")
    shown = to_display_units(read, values, hu_window=None).values[0]
    gray = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return Image.fromarray(gray).convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
