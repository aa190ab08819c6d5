"""Stable Diffusion through diffusers: any pipeline in a local folder, or a hub id, with LoRA weights.

Malik & Humair fine-tuned version 2.1 on ChestX-ray14, with prompts from labels and positions from boxes.
`medsynth train sd_chest_xray` does so; what it writes is a folder for `--model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.datasets.captions import POSITIONS
from medsynth.generators.systems.base import Accepts, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.diffusers_images import DiffusersImages

OPTIONS = {
    "lora": "folder or file of LoRA weights, as `medsynth train` writes them",
    "steps": "network calls an image (default: 30)",
    "guidance_scale": "of classifier-free guidance (default: 7.5)",
    "width": "pixels, a multiple of 8 (default: the pipeline's own)",
    "height": "pixels, a multiple of 8 (default: the pipeline's own)",
    "image": "an image to start from (img2img), which is read here and sent nowhere",
    "strength": "from 0 to 1: how much of that image is changed (default: 0.6)",
    "download": "true: a hub id may be downloaded; without, only what is on this machine is used",
    "device": "cpu, cuda, or auto (default)",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> DiffusersImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators.diffusers_images import DiffusersImages

    return DiffusersImages(request, listener=listener)


SYSTEM = SystemEntry(
    name="stable_diffusion",
    title="Stable Diffusion, yours: any diffusers pipeline, with LoRA",
    load=load,
    accepts=Accepts(prompts=True, negative_prompt=True, positions=POSITIONS, options=OPTIONS),
    license="that of the pipeline that is named (Stable Diffusion: CreativeML Open RAIL-M)",
    extra="stable-diffusion",
    running_options=("device", "download"),
)
