"""An autoencoder to latents, and a network that denoises latents conditioned on words.

Rombach et al. 2022 (arXiv:2112.10752) with MONAI's AutoencoderKL and DiffusionModelUNet. With
`patch_size` p the autoencoder sees images of p x p channels and 1 / p of the pixels, which costs a small
one a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.networks.monai_networks import AutoencoderKL, DiffusionModelUNet

NO_WORD = 0  # the index that stands for "nothing said"
CHANNELS_LAST = torch.channels_last


@dataclass(frozen=True)
class AutoencoderConfig:
    """Fields of AutoencoderKL; the latents have 1 / (patch_size 2^(levels - 1)) of an image's sides."""

    patch_size: int = 1
    channels: tuple[int, ...] = (64, 128, 256)
    latent_channels: int = 4
    num_res_blocks: int = 2
    norm_num_groups: int = 32
    attention_levels: tuple[bool, ...] = ()
    nonlocal_attention: bool = False

    @property
    def multiple(self) -> int:
        """What the sides of images are multiples of, and by how much latents are smaller."""
        return self.patch_size * 2 ** (len(self.channels) - 1)


class LatentAutoencoder(nn.Module):
    """Images (B, 1, H, W) in [-1, 1] to latents (B, C, h, w) and back."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        planes = config.patch_size**2
        self.network = AutoencoderKL(
            spatial_dims=2,
            in_channels=planes,
            out_channels=planes,
            channels=config.channels,
            latent_channels=config.latent_channels,
            num_res_blocks=config.num_res_blocks,
            norm_num_groups=config.norm_num_groups,
            attention_levels=config.attention_levels or (False,) * len(config.channels),
            with_encoder_nonlocal_attn=config.nonlocal_attention,
            with_decoder_nonlocal_attn=config.nonlocal_attention,
        )

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents."""
        patches = functional.pixel_unshuffle(image, self.config.patch_size)
        return self.network.encode(patches.contiguous(memory_format=CHANNELS_LAST))

    def decode(self, latents: Tensor) -> Tensor:
        """The image of latents."""
        patches = self.network.decode(latents.contiguous(memory_format=CHANNELS_LAST))
        return functional.pixel_shuffle(patches, self.config.patch_size)

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The image of latents drawn with `noise`, with their mean and standard deviation."""
        mean, std = self.encode(image)
        return self.decode(mean + std * noise), mean, std


@dataclass(frozen=True)
class LatentUNetConfig:
    """Fields of DiffusionModelUNet; conditioned on up to `most_words` of `words` words."""

    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 384)
    num_res_blocks: int = 2
    attention_levels: tuple[bool, ...] = (False, True, True)
    norm_num_groups: int = 32
    num_head_channels: int = 32
    words: int = 0
    most_words: int = 12
    word_dimensions: int = 64


class LatentUNet(nn.Module):
    """Predicts from noised latents (B, C, h, w), timesteps (B,) and word indices (B, n)."""

    def __init__(self, config: LatentUNetConfig):
        super().__init__()
        self.config = config
        self.network = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=config.latent_channels,
            out_channels=config.latent_channels,
            channels=config.channels,
            num_res_blocks=config.num_res_blocks,
            attention_levels=config.attention_levels,
            norm_num_groups=config.norm_num_groups,
            num_head_channels=config.num_head_channels,
            with_conditioning=config.words > 0,
            cross_attention_dim=config.word_dimensions if config.words else None,
        )
        self.words = (
            nn.Embedding(config.words + 1, config.word_dimensions) if config.words else None
        )

    def forward(self, x: Tensor, timesteps: Tensor, words: Tensor | None = None) -> Tensor:
        """The prediction, (B, C, h, w); `words` None: nothing is said."""
        context = None
        if self.words is not None:
            if words is None:
                words = torch.full(
                    (len(x), self.config.most_words), NO_WORD, dtype=torch.long, device=x.device
                )
            context = self.words(words)
        return self.network(x.contiguous(memory_format=CHANNELS_LAST), timesteps, context=context)


def word_indices(said: Sequence[str], vocabulary: Sequence[str], *, most: int) -> list[int]:
    """Indices of the words that are known, filled up with `NO_WORD` to `most`."""
    known = [vocabulary.index(word) + 1 for word in said if word in vocabulary][:most]
    return known + [NO_WORD] * (most - len(known))


def config_from(kind: type, values: Mapping[str, Any]) -> Any:
    """A configuration of this file from what its `asdict` gave, lists for tuples."""
    names = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise ValueError(
            f"network: unknown field {unknown[0]!r}, expected one of {', '.join(sorted(names))}"
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def config_dict(config: AutoencoderConfig | LatentUNetConfig) -> dict[str, Any]:
    """For the header of a file."""
    return asdict(config)
