"""What a reference-conditioned network is told."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """The composed low band of all active conditions, and which factor it has where.

    `low_band` (B, 1, H, W) in [-1, 1]; `factor_map` (B, 1, H, W) in pixels, 0 where no reference
    acts. Low band values under factor 0 are ignored. `texture` (B, 2): how grainy the image shall be
    (`medsynth.diffusion.noise_level`), standardized; None: typical.
    """

    low_pass_image: Tensor
    factor_map: Tensor
    noise_level: Tensor | None = None
