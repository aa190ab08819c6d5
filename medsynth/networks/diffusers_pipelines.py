"""Pipelines of diffusers, opened offline and without the checker that blackens radiographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from medsynth.errors import CheckpointError, MissingExtra
from medsynth.networks.torchvision_operators import make_importable

EXTRA = (
    "Stable Diffusion needs diffusers, transformers, peft and accelerate; run: pip install "
    "'medsynth-slicer[stable-diffusion]'"
)
# It knows photographs, and blackens radiographs.
WITHOUT_CHECKER = {"safety_checker": None, "requires_safety_checker": False}
LORA_FILE = "pytorch_lora_weights.safetensors"


def library() -> Any:
    """The module diffusers.

    Raises:
        MissingExtra: it, or what it needs, is not installed.
    """
    try:
        make_importable()
        import diffusers
        import peft  # noqa: F401
        import transformers  # noqa: F401
    except ImportError:
        raise MissingExtra(EXTRA) from None
    diffusers.utils.logging.set_verbosity_error()
    return diffusers


def open_pipeline(
    source: str, *, lora: str = "", download: bool = False, device: str = "cpu"
) -> Any:
    """A text-to-image pipeline from a local folder, or from the hub's cache, or with `download` the hub.

    Raises:
        CheckpointError: it is not there, or damaged; the message says how to get it.
        MissingExtra: diffusers is not installed.
    """
    diffusers = library()
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if not source:
        raise CheckpointError(
            "no pipeline is shipped; name a folder of a diffusers pipeline, or a hub id, with --model"
        )
    if local and not (folder / "model_index.json").is_file():
        raise CheckpointError(
            f"{folder} holds no model_index.json; expected a folder that a diffusers pipeline was saved to"
        )
    try:
        pipeline = diffusers.DiffusionPipeline.from_pretrained(
            str(folder) if local else source,
            local_files_only=local or not download,
            **WITHOUT_CHECKER,
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(_missing(source, local=local, error=error)) from error
    if lora:
        _load_lora(pipeline, Path(lora).expanduser())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _missing(source: str, *, local: bool, error: Exception) -> str:
    reason = str(error).splitlines()[0][:160]
    if local:
        return f"{source} cannot be opened as a pipeline ({reason}); save or download it again"
    return (
        f"{source} is neither a folder nor in the hub's cache on this machine ({reason}); give a local folder, or "
        "allow the download with --set download=true"
    )


def _load_lora(pipeline: Any, path: Path) -> None:
    file = path / LORA_FILE if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(
            f"no LoRA weights at {file}; `medsynth train sd_chest_xray` writes them"
        )
    try:
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0][:160]
        raise CheckpointError(f"{file} does not fit the pipeline ({reason})") from error


def image_to_image(pipeline: Any) -> Any:
    """The pipeline that starts from an image, of the same networks.

    Raises:
        ValueError: diffusers has none of this kind.
    """
    name = type(pipeline).__name__.replace("Pipeline", "Img2ImgPipeline")
    kind = getattr(library(), name, None)
    if kind is None:
        raise ValueError(f"--set image: diffusers has no {name}; leave the image out")
    made = kind.from_pipe(pipeline)
    made.set_progress_bar_config(disable=True)
    return made


def pipeline_side(pipeline: Any) -> int:
    """Pixels of a side of the images that it was trained for."""
    return int(pipeline.unet.config.sample_size) * int(pipeline.vae_scale_factor)


def gray_to_color(unit: torch.Tensor) -> torch.Tensor:
    """(B, 1, H, W) to (B, 3, H, W), each channel the same."""
    return unit.expand(-1, 3, -1, -1)
