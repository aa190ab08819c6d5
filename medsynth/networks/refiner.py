"""A small network that corrects a finished sample once: fine detail only, the low-pass image stays.

After Shrivastava et al. 2017 (arXiv:1612.07828): a residual network trained against discriminators that tell its
output from real patches (`medsynth.training.refinement`). What a diffusion network of a few thousand
steps gets wrong - noise that is too coarse or too strong, blurred edges, vessels that fall apart - is
local, and cheap to mend.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.networks.initial import zero

PATCH = 2
GAIN = 0.3  # of the last layer: corrections are small


@dataclass(frozen=True)
class RefinerConfig:
    """A U-Net of `channels`, fine to coarse, on patches of 2, then `fine_channels` on pixels.

    Every level has `blocks` residual blocks on the way down and on the way up. The low-pass image of
    `factor`, the coarsest reference it was taught behind, is not its business.

    Raises:
        TypeError, ValueError: `channels` is no list, or a number is not a whole one of at least 1 (2
            for `factor`).
    """

    channels: tuple[int, ...] = (32, 48, 64)
    blocks: int = 1
    fine_channels: int = 12
    factor: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        numbers = (*self.channels, self.blocks, self.fine_channels, self.factor - 1)
        if not self.channels or any(type(n) is not int or n < 1 for n in numbers):
            raise ValueError(
                "a refiner needs whole numbers: at least one of channels, each of them, blocks and "
                f"fine_channels at least 1, factor at least 2, got {self.to_dict()}"
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable keyword arguments."""
        return asdict(self) | {"channels": list(self.channels)}

    @property
    def multiple(self) -> int:
        """Sides that are no multiple of this many pixels are continued by their edge."""
        return PATCH * 2 ** (len(self.channels) - 1)


class Refiner(nn.Module):
    """x0 (B, 1, H, W) in [-1, 1] to a correction of the same shape; near zero before it is taught."""

    def __init__(self, config: RefinerConfig):
        super().__init__()
        self.config = config
        channels, fine = config.channels, config.fine_channels
        self.first = nn.Conv2d(PATCH**2, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(_level(width, config.blocks) for width in channels)
        self.up_blocks = nn.ModuleList(_level(width, config.blocks) for width in channels)
        steps = list(zip(channels, channels[1:], strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in steps)
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        self.to_pixels = nn.Conv2d(channels[0], fine * PATCH**2, 1)
        # On pixels: a convolution behind pixel_shuffle alone leaves a checkerboard.
        self.fine = nn.Conv2d(fine + 1, fine, 3, padding=1)
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        zero(self.last)
        nn.init.normal_(self.last.weight, std=1e-3)

    @property
    def factor(self) -> int:
        """Of the low-pass image that is not to be changed."""
        return self.config.factor

    def forward(self, x0: Tensor) -> Tensor:
        """The correction, low-pass image included: `medsynth.diffusion.sampling.correction` takes it out."""
        height, width = x0.shape[-2:]
        missing = (-height % self.config.multiple, -width % self.config.multiple)
        x = functional.pad(x0, (0, missing[1], 0, missing[0]), mode="replicate")
        patches = functional.pixel_unshuffle(x, PATCH)
        h = self.first(2 * patches.contiguous(memory_format=torch.channels_last))
        skips = []
        for down, level in zip([None, *self.downs], self.down_blocks, strict=True):
            h = level(h if down is None else down(functional.silu(h)))
            skips.append(h)
        h = self.up_blocks[-1](h)
        for place in reversed(range(len(self.ups))):
            coarse = functional.interpolate(self.ups[place](functional.silu(h)), scale_factor=2)
            h = self.up_blocks[place](skips[place] + coarse)
        h = functional.pixel_shuffle(self.to_pixels(functional.silu(h)), PATCH)
        h = torch.cat([h, x], dim=1).contiguous(memory_format=torch.channels_last)
        h = self.last(functional.silu(self.fine(functional.silu(h))))
        return GAIN * h[..., :height, :width]


class _Block(nn.Module):
    """h + two convolutions of it, the second of which begins at zero."""

    def __init__(self, width: int):
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        zero(self.two)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.two(functional.silu(self.one(functional.silu(h))))


def _level(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(blocks)))
