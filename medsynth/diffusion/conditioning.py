"""What a reference-conditioned network is conditioned on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """The composed low-pass image of all active conditions, and which factor it has where.

    `low_pass_image` (B, 1, H, W) in [-1, 1]; `factor_map` (B, 1, H, W) in pixels, 0 where no reference
    acts. Its values under factor 0 are ignored. `noise_level` (B, 2): that of the wanted image
    (`medsynth.diffusion.noise_level`), standardized; None: typical.
    """

    low_pass_image: Tensor
    factor_map: Tensor
    noise_level: Tensor | None = None

    def rows(self, rows: Tensor) -> Conditioning:
        """Of these samples of the batch."""
        level = None if self.noise_level is None else self.noise_level[rows]
        return Conditioning(self.low_pass_image[rows], self.factor_map[rows], level)
