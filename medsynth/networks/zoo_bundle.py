"""Latent diffusion bundles of the MONAI model zoo: a folder with configs and models, read without running it.

A bundle's configuration may hold Python, which is not evaluated here: only the arguments of networks and
scheduler are read, their "@" references resolved, and weights loaded as tensors. Networks of
monai-generative, where the older bundles come from, are taken under their names there
(see `monai_checkpoint` about the layer that they never apply).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medsynth.diffusion import schedule
from medsynth.errors import CheckpointError
from medsynth.networks.latent_file import LatentModel
from medsynth.networks.monai_checkpoint import read_tensors, renamed
from medsynth.networks.monai_networks import VQVAE, AutoencoderKL, DiffusionModelUNet

CONFIGS = ("inference.json", "inference.yaml")
PACKAGES = ("monai.networks.nets", "generative.networks.nets", "monai.networks.schedulers")
SCHEDULES = {"scaled_linear_beta": "scaled_linear", "linear_beta": "linear"}
RENAMED_ARGUMENTS = {"num_channels": "channels"}
AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "VQVAE": VQVAE}
# Where the bundles of the zoo keep each part.
PARTS = {
    "autoencoder": (
        ("autoencoder_def", "autoencoder"),
        "model_autoencoder.pt",
        "load_autoencoder_path",
    ),
    "network": (("network_def", "diffusion_def", "diffusion"), "model.pt", "load_diffusion_path"),
}


class _Decoder(nn.Module):
    """An autoencoder of others whose images, of values `low` to `high`, become [-1, 1]."""

    def __init__(self, network: AutoencoderKL | VQVAE, low: float, high: float):
        super().__init__()
        self.network, self.low, self.high = network, low, high

    def decode(self, latents: Tensor) -> Tensor:
        """Images (B, 1, H, W) in [-1, 1]."""
        image = self.network.decode_stage_2_outputs(latents)
        return 2 * (image - self.low) / (self.high - self.low) - 1


class _Unconditional(nn.Module):
    """A network of others, which takes no words."""

    def __init__(self, network: DiffusionModelUNet):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, timesteps: Tensor, words: Tensor | None = None) -> Tensor:
        """The prediction."""
        return self.network(x, timesteps)


def is_bundle(folder: Path) -> bool:
    """Whether `folder` looks like a bundle."""
    return any((folder / "configs" / name).is_file() for name in CONFIGS)


def load(
    folder: Path,
    *,
    preset: str,
    scale_factor: float = 1.0,
    values: tuple[float, float] = (0.0, 1.0),
    device: str = "cpu",
) -> LatentModel:
    """The model of a two-dimensional, unconditional latent diffusion bundle.

    Args:
        folder: the bundle: configs/inference.json and models/*.pt.
        preset: the domain that its images are taken to be of; the bundle does not know our domains.
        scale_factor: what its latents were multiplied with in training, where the bundle does not say.
        values: what black and white are in its images.
        device: where it computes.

    Raises:
        CheckpointError: no such bundle, one that is not two-dimensional or needs more than noise, or
            weights that do not fit.
    """
    values_of = _read_config(folder)
    autoencoder = _built(folder, values_of, "autoencoder")
    network = _built(folder, values_of, "network")
    scheduler = _resolved(values_of.get("noise_scheduler") or values_of.get("scheduler"), values_of)
    levels, prediction_type = _schedule(scheduler, folder)
    channels, size = _latent_shape(values_of, autoencoder, folder)
    factor = _scale_factor(values_of, scale_factor)
    return LatentModel(
        _Decoder(autoencoder, *values).to(device).eval().requires_grad_(False),  # type: ignore[arg-type]
        _Unconditional(network).to(device).eval().requires_grad_(False),
        levels,
        prediction_type,
        torch.zeros(channels, device=device),
        torch.full((channels,), 1.0 / factor, device=device),
        size,
        presets=(preset,),
        metadata={"bundle": folder.name},
    )


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "configs" / CONFIGS[0]
    try:
        if not file.exists() and (other := folder / "configs" / CONFIGS[1]).exists():
            import yaml

            return yaml.safe_load(other.read_text(encoding="utf-8"))
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} is no bundle: expected configs/{CONFIGS[0]} and models/*.pt in it"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be read ({error}); download it again") from error


def _resolved(value: Any, values: Mapping[str, Any], depth: int = 0) -> Any:
    """`value` with "@name" and "@name::key" replaced by what they name; Python stays text."""
    if depth > 20:
        raise CheckpointError("the bundle's references go round in circles")
    if isinstance(value, Mapping):
        return {k: _resolved(v, values, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, values, depth + 1) for v in value]
    if isinstance(value, str) and value.startswith("@"):
        found: Any = values
        for key in re.split(r"::|#", value[1:]):
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise CheckpointError(f"the bundle names {value}, which it does not hold") from None
        return _resolved(found, values, depth + 1)
    return value


def _built(folder: Path, values: Mapping[str, Any], part: str) -> Any:
    """The network of a part with its weights."""
    names, file, path_key = PARTS[part]
    found = next((values[n] for n in names if isinstance(values.get(n), Mapping)), None)
    if found is None or "_target_" not in found:
        raise CheckpointError(
            f"{folder}: configs/{CONFIGS[0]} has no {names[0]} with a _target_; it is no latent diffusion "
            "bundle"
        )
    given = _resolved(found, values)
    target = given.pop("_target_").rsplit(".", 1)[-1]
    classes = AUTOENCODERS if part == "autoencoder" else {"DiffusionModelUNet": DiffusionModelUNet}
    if target not in classes:
        raise CheckpointError(f"{folder}: {part} is a {target}, expected {' or '.join(classes)}")
    arguments = {RENAMED_ARGUMENTS.get(k, k): v for k, v in given.items() if not k.startswith("_")}
    _check_arguments(arguments, folder)
    try:
        network = classes[target](**arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}: {part} cannot be built: {error}") from error
    weights = folder / "models" / _file_name(values.get(path_key), file)
    fill(network, read_tensors(weights), weights)
    return network


def _check_arguments(arguments: Mapping[str, Any], folder: Path) -> None:
    python = [k for k, v in arguments.items() if isinstance(v, str) and v.startswith("$")]
    if python:
        raise CheckpointError(
            f"{folder}: {python[0]} is Python code, which is not run here; write its value into configs/"
        )
    if arguments.get("spatial_dims", 2) != 2:
        raise CheckpointError(
            f"{folder} makes volumes; only bundles of two-dimensional images can be used here"
        )
    if arguments.get("with_conditioning") or arguments.get("num_class_embeds"):
        raise CheckpointError(
            f"{folder} is conditioned on embeddings of another network, which its folder does not hold; use "
            "an unconditional bundle, or train on your images with `medsynth train ldm_chest_xray`"
        )


def _file_name(path: Any, otherwise: str) -> str:
    """The file's name in "$@model_dir + '/model.pt'"."""
    found = re.search(r"([\w.-]+\.(?:pt|pth|ckpt|safetensors))'?$", path) if path else None
    return found.group(1) if found else otherwise


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict of MONAI or of monai-generative.

    Raises:
        CheckpointError: it is of another network.
    """
    try:
        wanted = network.state_dict()
        found = dict(state) if state.keys() == wanted.keys() else renamed(state)
        if isinstance(network, AutoencoderKL):
            found = {_autoencoder_key(k, wanted): v for k, v in found.items()}
        network.load_state_dict(found)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise CheckpointError(
            f"{path} is of another network: {lines[0] if lines else error}"
        ) from None


def _autoencoder_key(key: str, wanted: Mapping[str, Tensor]) -> str:
    """Names that only autoencoders have: attention among their blocks, convolutions of upsampling."""
    if key in wanted:
        return key
    name = re.sub(r"(blocks\.\d+)\.(to_[qkv]|out_proj)\.", r"\1.attn.\2.", key)
    return name if name in wanted else name.replace(".conv.conv.", ".postconv.conv.")


def _schedule(scheduler: Any, folder: Path) -> tuple[schedule.Schedule, str]:
    if not isinstance(scheduler, Mapping):
        raise CheckpointError(f"{folder}: configs/{CONFIGS[0]} has no noise_scheduler")
    kind = scheduler.get("schedule", "linear_beta")
    if kind not in SCHEDULES:
        raise CheckpointError(
            f"{folder}: schedule {kind!r} is unknown, expected {' or '.join(SCHEDULES)}"
        )
    options = {
        "num_train_timesteps": int(scheduler.get("num_train_timesteps", 1000)),
        "beta_start": float(scheduler.get("beta_start", 1e-4)),
        "beta_end": float(scheduler.get("beta_end", 2e-2)),
    }
    prediction_type = str(scheduler.get("prediction_type", "epsilon"))
    return schedule.build(SCHEDULES[kind], **options), prediction_type


def _latent_shape(
    values: Mapping[str, Any], autoencoder: Any, folder: Path
) -> tuple[int, tuple[int, int]]:
    shape = _resolved(values.get("latent_shape"), values)
    if isinstance(shape, list) and len(shape) == 3 and all(isinstance(v, int) for v in shape):
        return shape[0], (shape[1], shape[2])
    raise CheckpointError(
        f"{folder}: latent_shape is {shape!r}, expected [channels, rows, columns] in configs/{CONFIGS[0]}"
    )


def _scale_factor(values: Mapping[str, Any], otherwise: float) -> float:
    given = _resolved(values.get("scale_factor"), values)
    return float(given) if isinstance(given, (int, float)) and given > 0 else otherwise
