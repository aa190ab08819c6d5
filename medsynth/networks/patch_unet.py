"""MONAI's DiffusionModelUNet on patchified pixels: pixel-space diffusion that a CPU can afford.

`pixel_unshuffle` by r in front and `pixel_shuffle` behind trade resolution for channels without
loss, so guidance stays exact in pixels. Two coordinate channels tell a network trained on crops
where it is. An optional fine stage on a finer patch grid corrects the output where the coarse grid's
few channels a pixel cannot hold fine texture and thin edges.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.diffusion.denoiser import Conditioning
from medsynth.networks.base import DiffusionNetwork, reference_channels
from medsynth.networks.initial import zero
from medsynth.networks.monai_networks import DiffusionModelUNet, get_timestep_embedding
from medsynth.registry import Method
from medsynth.storage import aliases

NOISE_LEVEL_CHANNELS = 2


@dataclass(frozen=True)
class PatchUNetConfig:
    """Everything that is needed to build the network again; written into the weights' header.

    `image_size` is (H, W) of the full image in pixels, the frame of the coordinate channels.
    `attention_levels` and `channels` run from fine to coarse. `fine_channels` 0 means no fine stage.
    `noise_level`: a reference-conditioned network is also conditioned on the image noise level.
    """

    image_size: tuple[int, int] = (512, 512)
    patch_size: int = 4
    channels: tuple[int, ...] = (64, 128, 192, 256)
    attention_levels: tuple[bool, ...] = (False, False, False, True)
    num_res_blocks: int = 2
    num_head_channels: int = 64
    coordinates: bool = True
    reference_conditioned: bool = False
    learned_variance: bool = False
    fine_channels: int = 0
    fine_patch_size: int = 2
    fine_blocks: int = 2
    noise_level: bool = False

    def __post_init__(self) -> None:
        if self.noise_level and not self.reference_conditioned:
            raise ValueError("noise_level comes with a reference; set reference_conditioned too")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PatchUNetConfig:
        """From a recipe or a header; unknown names raise TypeError."""
        values = aliases.current(values, where="network")
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**lists)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; `from_dict` reads it back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @property
    def multiple(self) -> int:
        """Image sides must be multiples of this many pixels."""
        coarse = self.patch_size * 2 ** (len(self.channels) - 1)
        return math.lcm(coarse, self.fine_patch_size) if self.fine_channels else coarse

    def build(self) -> PatchUNet:
        """The network, with random weights."""
        return PatchUNet(self)


class PatchUNet(DiffusionNetwork):
    """x_t (B, 1, H, W) and timesteps (B,) to the network's prediction (B, 1 or 2, H, W)."""

    def __init__(self, config: PatchUNetConfig):
        super().__init__()
        self.config: PatchUNetConfig = config
        patch_pixels = config.patch_size**2
        in_channels = patch_pixels + 2 * config.coordinates
        if config.reference_conditioned:
            in_channels += patch_pixels + 1  # the low-pass image, and the map of its factor
        in_channels += NOISE_LEVEL_CHANNELS * config.noise_level
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=patch_pixels * (2 if config.learned_variance else 1),
            channels=config.channels,
            attention_levels=config.attention_levels,
            num_res_blocks=config.num_res_blocks,
            num_head_channels=config.num_head_channels,
        )
        self.fine = FineStage(config) if config.fine_channels else None

    def predict(
        self, x: Tensor, timesteps: Tensor, conditioning: Conditioning | None, origin: Tensor | None
    ) -> Tensor:
        r = self.config.patch_size
        channels = [functional.pixel_unshuffle(x, r)]
        if self.config.reference_conditioned:
            channels += _conditioning_channels(x, conditioning, r)
        if self.config.noise_level:
            channels.append(_noise_level_channels(channels[0], conditioning))
        if self.config.coordinates:
            channels.append(self._coordinates(x, origin))
        joined = torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)
        output = functional.pixel_shuffle(self.unet(joined, timesteps), r)
        if self.fine is None:
            return output
        conditionings = (
            _conditioning_channels(x, conditioning, self.fine.patch_size)
            if self.config.reference_conditioned
            else []
        )
        return output + self.fine(x, output, conditionings, timesteps)

    def _coordinates(self, x: Tensor, origin: Tensor | None) -> Tensor:
        """Row and column of each patch's center, -1 ... 1 over the full image; (B, 2, H/r, W/r)."""
        r, (batch, _, height, width) = self.config.patch_size, x.shape
        if origin is None:
            full_height, full_width = self.config.image_size
            centered = [(full_height - height) / 2, (full_width - width) / 2]
            origin = torch.tensor([centered] * batch)
        origin = origin.to(x.device)
        axes = []
        for axis, length in enumerate((height, width)):
            centers = (torch.arange(length // r, device=x.device) + 0.5) * r
            full = self.config.image_size[axis]
            axes.append((origin[:, axis, None].to(centers.dtype) + centers) * 2 / full - 1)
        rows = axes[0][:, :, None].expand(-1, -1, width // r)
        columns = axes[1][:, None, :].expand(-1, height // r, -1)
        return torch.stack([rows, columns], dim=1).to(x.dtype)


class FineStage(nn.Module):
    """Residual convolutions on patches of `fine_patch_size`: a correction of the U-Net's output.

    The last layer begins at zero, so that a network can be given this stage in mid-training.
    """

    EMBEDDING = 64

    def __init__(self, config: PatchUNetConfig):
        super().__init__()
        self.patch_size, width = config.fine_patch_size, config.fine_channels
        pixels = self.patch_size**2
        out_channels = pixels * (2 if config.learned_variance else 1)
        conditioning_channels = pixels + 1 if config.reference_conditioned else 0
        self.embed = nn.Sequential(
            nn.Linear(self.EMBEDDING, self.EMBEDDING),
            nn.SiLU(),
            nn.Linear(self.EMBEDDING, 2 * width * config.fine_blocks),
        )
        self.first = nn.Conv2d(pixels + out_channels + conditioning_channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(_FineBlock(width) for _ in range(config.fine_blocks))
        self.last = nn.Conv2d(width, out_channels, 3, padding=1)
        zero(self.last)

    def forward(
        self, x: Tensor, output: Tensor, conditionings: list[Tensor], timesteps: Tensor
    ) -> Tensor:
        """The correction, shaped as `output` (B, 1 or 2, H, W)."""
        patches = [functional.pixel_unshuffle(v.to(x.dtype), self.patch_size) for v in (x, output)]
        joined = torch.cat([*patches, *conditionings], dim=1)
        h = self.first(joined.contiguous(memory_format=torch.channels_last))
        embedding = get_timestep_embedding(timesteps, self.EMBEDDING).to(x.dtype)
        scales = self.embed(embedding)[:, :, None, None].to(h.dtype).chunk(2 * len(self.blocks), 1)
        for index, block in enumerate(self.blocks):
            h = block(h, scales[2 * index], scales[2 * index + 1])
        return functional.pixel_shuffle(self.last(functional.silu(h)), self.patch_size)


class _FineBlock(nn.ModuleList):
    """h + two convolutions of it, whose middle the timestep scales and shifts."""

    def __init__(self, width: int):
        super().__init__(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        one, two = self
        return h + two(functional.silu(one(functional.silu(h)) * (1 + scale) + shift))


def _conditioning_channels(
    x: Tensor, conditioning: Conditioning | None, patch_size: int
) -> list[Tensor]:
    """Low-pass image and level of the reference on the patch grid: patch_size^2 and 1 channels."""
    image, level = reference_channels(x, conditioning)
    return [functional.pixel_unshuffle(image, patch_size), functional.avg_pool2d(level, patch_size)]


def _noise_level_channels(like: Tensor, conditioning: Conditioning | None) -> Tensor:
    """The noise levels, each all over the grid of `like`: (B, 2, h, w)."""
    shape = (len(like), NOISE_LEVEL_CHANNELS, *like.shape[-2:])
    if conditioning is None or conditioning.noise_level is None:
        return like.new_zeros(shape)
    return conditioning.noise_level.to(like.dtype)[:, :, None, None].expand(shape)


ARCHITECTURE = Method(
    title="MONAI's U-Net on patches of pixels, with attention", make=PatchUNetConfig.from_dict
)
