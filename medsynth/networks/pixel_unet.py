"""A convolutional U-Net on single pixels, for the noise levels at which only fine detail is open.

A reference says what is coarse, so that a network guided by it hardly needs to look far, but at every
pixel: no patches, no attention, no normalization (a crop and a whole image are computed alike), one
residual block a level on the way down and one on the way up. Scale and shift of every block come from
the timestep, hence from the log-SNR, and from the image noise level.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.diffusion.conditioning import Conditioning
from medsynth.networks.base import DiffusionNetwork, reference_channels
from medsynth.networks.initial import zero
from medsynth.networks.monai_networks import get_timestep_embedding
from medsynth.registry import Method

EMBEDDING = 64
NOISE_LEVELS = 2
# x_t, the low-pass image and the map of its factor.
IN_CHANNELS = 3


@dataclass(frozen=True)
class PixelUNetConfig:
    """Everything that is needed to build the network again; written into the weights' header.

    `image_size` is (H, W) of the full image in pixels; any other size can be computed too. `channels`
    run from full resolution down, each level half the one before. `middle_blocks` residual blocks
    lie at the coarsest. `noise_level`: the network is conditioned on the image noise level.

    Raises:
        ValueError: no channels, or one that is not above 0.
    """

    image_size: tuple[int, int] = (512, 512)
    channels: tuple[int, ...] = (24, 48, 96)
    middle_blocks: int = 1
    noise_level: bool = False

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.middle_blocks < 1:
            raise ValueError(
                "channels and middle_blocks must be above 0, got "
                f"{list(self.channels)} and {self.middle_blocks}"
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PixelUNetConfig:
        """From a recipe or a header; unknown names raise TypeError."""
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**lists)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; `from_dict` reads it back."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"architecture": "pixel_unet", **values}

    @property
    def patch_size(self) -> int:
        """It has no patches."""
        return 1

    @property
    def multiple(self) -> int:
        """Image sides must be multiples of this many pixels."""
        return 2 ** (len(self.channels) - 1)

    @property
    def reference_conditioned(self) -> bool:
        """It always is."""
        return True

    @property
    def learned_variance(self) -> bool:
        """It has none."""
        return False

    def build(self) -> PixelUNet:
        """The network, with random weights."""
        return PixelUNet(self)


class PixelUNet(DiffusionNetwork):
    """x_t (B, 1, H, W) and timesteps (B,) to the network's prediction (B, 1, H, W)."""

    def __init__(self, config: PixelUNetConfig):
        super().__init__()
        self.config = config
        widths = config.channels
        pairs = list(zip(widths, widths[1:], strict=False))
        self.embed = nn.Sequential(
            nn.Linear(EMBEDDING + NOISE_LEVELS * config.noise_level, 2 * EMBEDDING),
            nn.SiLU(),
            nn.Linear(2 * EMBEDDING, 2 * EMBEDDING),
            nn.SiLU(),
        )
        self.first = nn.Conv2d(IN_CHANNELS, widths[0], 3, padding=1)
        self.down = nn.ModuleList(PixelBlock(width) for width in widths[:-1])
        self.halve = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.middle = nn.ModuleList(PixelBlock(widths[-1]) for _ in range(config.middle_blocks))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.up = nn.ModuleList(PixelBlock(width) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 1, 3, padding=1)
        zero(self.last)

    def predict(
        self, x: Tensor, timesteps: Tensor, conditioning: Conditioning | None, origin: Tensor | None
    ) -> Tensor:
        """`origin` is not looked at: what a pixel shows does not depend on where it lies."""
        embedding = self._embedding(x, timesteps, conditioning)
        joined = torch.cat([x, *reference_channels(x, conditioning)], dim=1)
        h = self.first(joined.contiguous(memory_format=torch.channels_last))
        skips = []
        for block, halve in zip(self.down, self.halve, strict=True):
            h = block(h, embedding)
            skips.append(h)
            h = halve(h)
        for block in self.middle:
            h = block(h, embedding)
        for narrow, block in zip(reversed(self.narrow), reversed(self.up), strict=True):
            wide = functional.interpolate(narrow(h), scale_factor=2, mode="nearest")
            h = block(skips.pop() + wide, embedding)
        return self.last(functional.silu(h))

    def _embedding(self, x: Tensor, timesteps: Tensor, conditioning: Conditioning | None) -> Tensor:
        parts = [get_timestep_embedding(timesteps, EMBEDDING)]
        if self.config.noise_level:
            level = conditioning.noise_level if conditioning else None
            parts.append(x.new_zeros(len(x), NOISE_LEVELS) if level is None else level)
        dtype = next(self.embed.parameters()).dtype
        embedding: Tensor = self.embed(torch.cat([part.to(dtype) for part in parts], dim=1))
        return embedding


class PixelBlock(nn.Module):
    """h + two convolutions of it, whose middle is scaled and shifted; at first it adds nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.scale_shift = nn.Linear(2 * EMBEDDING, 2 * width)
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        zero(self.scale_shift)
        zero(self.two)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """`h` (B, C, H, W), `embedding` (B, 2 * EMBEDDING)."""
        middle = self.one(functional.silu(h))
        scale, shift = self.scale_shift(embedding).to(middle.dtype)[:, :, None, None].chunk(2, 1)
        return h + self.two(functional.silu(torch.addcmul(shift, middle, 1 + scale)))


ARCHITECTURE = Method(title="Convolutional U-Net on single pixels", make=PixelUNetConfig.from_dict)
