"""A small network that looks over a finished sample once: fine detail only, the low band stays.

After Shrivastava et al. 2017 (arXiv:1612.07828): a residual network taught by judges that tell its
output from real patches (`medsynth.training.refinement`). What a diffusion network of a few thousand
steps gets wrong - grain that is too coarse or too strong, blurred edges - is local, and cheap to mend.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 2


@dataclass(frozen=True)
class RefinerConfig:
    """`blocks` residual blocks of `channels` on patches of 2, then `fine_channels` on pixels.

    The low band of `factor`, the coarsest reference it was taught behind, is not its business.
    """

    channels: int = 32
    blocks: int = 4
    fine_channels: int = 12
    factor: int = 16

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable keyword arguments."""
        return asdict(self)


class Refiner(nn.Module):
    """x0 (B, 1, H, W) in [-1, 1] to a correction of the same shape.

    Sides that are odd are continued by their edge. The last layer begins near zero.
    """

    def __init__(self, config: RefinerConfig):
        super().__init__()
        self.config = config
        width, fine = config.channels, config.fine_channels
        self.first = nn.Conv2d(PATCH**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
            for _ in range(config.blocks)
        )
        self.up = nn.Conv2d(width, fine * PATCH**2, 1)
        # On pixels: a convolution behind pixel_shuffle alone leaves a checkerboard.
        self.fine = nn.Conv2d(fine + 1, fine, 3, padding=1)
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        for _, second in self.blocks:
            nn.init.zeros_(second.weight)
            nn.init.zeros_(second.bias)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    @property
    def factor(self) -> int:
        """Of the low band that is not to be changed."""
        return self.config.factor

    def forward(self, x0: Tensor) -> Tensor:
        """The correction, low band included: `medsynth.synthesis.correction` takes it out."""
        height, width = x0.shape[-2:]
        x = functional.pad(x0, (0, width % PATCH, 0, height % PATCH), mode="replicate")
        patches = functional.pixel_unshuffle(x, PATCH)
        h = self.first(2 * patches.contiguous(memory_format=torch.channels_last))
        for one, two in self.blocks:
            h = h + two(functional.silu(one(functional.silu(h))))
        h = functional.pixel_shuffle(self.up(functional.silu(h)), PATCH)
        h = torch.cat([h, x], dim=1).contiguous(memory_format=torch.channels_last)
        h = self.last(functional.silu(self.fine(functional.silu(h))))
        return 0.3 * h[..., :height, :width]
