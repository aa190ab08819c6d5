"""A latent diffusion model in one file: autoencoder, denoising network, words, and what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medsynth.diffusion import schedule
from medsynth.diffusion.schedule import Schedule
from medsynth.networks.checkpoint import fastest_dtype, save_weights, system_file
from medsynth.networks.initial import Network, placed
from medsynth.networks.latent import (
    AutoencoderConfig,
    LatentAutoencoder,
    LatentUNet,
    LatentUNetConfig,
    config_dict,
    config_from,
)

SYSTEM = "latent_diffusion"
AUTOENCODER, DENOISER = "autoencoder.", "unet."


@dataclass(frozen=True, eq=False)
class LatentModel:
    """All that makes images from latents.

    Attributes:
        autoencoder, unet: the networks, in evaluation mode; the first is None where only it is missing.
        schedule, prediction_type: of the diffusion.
        mean, std: (C,) of the latents, which the network sees standardized.
        size: (h, w) of the latents.
        vocabulary: the words it is conditioned on.
        presets: the domains of its images.
        metadata: the header of its file.
    """

    autoencoder: LatentAutoencoder
    unet: Any
    schedule: Schedule
    prediction_type: str
    mean: Tensor
    std: Tensor
    size: tuple[int, int]
    vocabulary: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32

    def standard(self, latents: Tensor) -> Tensor:
        """Latents as the network sees them."""
        return (latents - self.mean[:, None, None]) / self.std[:, None, None]

    def encode(self, images: Tensor) -> Tensor:
        """The standardized latents of images (B, 1, H, W) in [-1, 1]."""
        kind = images.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            mean, _ = self.autoencoder.encode(images)
        return self.standard(mean.float())

    def decode(self, standard: Tensor) -> Tensor:
        """The images (B, 1, H, W) of standardized latents."""
        latents = standard * self.std[:, None, None] + self.mean[:, None, None]
        kind = standard.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.autoencoder.decode(latents).float()


def save(
    path: Path,
    *,
    autoencoder: LatentAutoencoder,
    unet: dict[str, Tensor],
    config: LatentUNetConfig,
    metadata: dict[str, Any],
) -> None:
    """Write the file; `unet` is the state of the network of `config`.

    `metadata` needs schedule, prediction_type, preset (names with "+" between them), data, license,
    latent_mean, latent_std, latent_size and vocabulary.
    """
    tensors = {f"{AUTOENCODER}{k}": v for k, v in autoencoder.state_dict().items()}
    tensors |= {f"{DENOISER}{k}": v for k, v in unet.items()}
    described = {
        "system": SYSTEM,
        "network": config_dict(config),
        "autoencoder": config_dict(autoencoder.config),
    }
    save_weights(tensors, path, metadata=described | metadata)


def load(path: Path, *, device: str = "cpu") -> LatentModel:
    """The model in a file that `save` wrote; `system_file` says what is refused."""
    with system_file(path, SYSTEM, title="latent diffusion model", recipe="ldm_chest_xray") as (
        tensors,
        metadata,
    ):
        autoencoder = LatentAutoencoder(config_from(AutoencoderConfig, metadata["autoencoder"]))
        unet = LatentUNet(config_from(LatentUNetConfig, metadata["network"]))
        dtype = fastest_dtype(device)
        return LatentModel(
            _filled(autoencoder, tensors, AUTOENCODER, device),
            _filled(unet, tensors, DENOISER, device),
            schedule.build(**metadata["schedule"]),
            metadata["prediction_type"],
            torch.tensor(metadata["latent_mean"], device=device),
            torch.tensor(metadata["latent_std"], device=device),
            (int(metadata["latent_size"][0]), int(metadata["latent_size"][1])),
            tuple(metadata["vocabulary"]),
            tuple(metadata["preset"].split("+")),
            metadata,
            dtype,
        )


def load_autoencoder(path: Path, *, device: str = "cpu") -> LatentAutoencoder:
    """The autoencoder of such a file.

    Raises:
        CheckpointError: as `load`.
    """
    return load(path, device=device).autoencoder


def _filled(network: Network, tensors: dict[str, Tensor], prefix: str, device: str) -> Network:
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    return placed(network, device).eval().requires_grad_(False)
