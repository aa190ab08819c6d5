"""What a reference-conditioned network predicts: the residual to the low-pass image, at its own scale.

Conditioned on the low-pass image mu, a network that predicts v spends its output on repeating mu and on
cancelling noise: the residual u = x0 - mu, with a standard deviation s of 0.05 to 0.15, is a hundredth
of the loss, and is hardly learned where noise hides it. So it works on u alone, scaled so that input
and target have unit variance at every level and every factor. This is the preconditioning of Karras
et al. 2022 (arXiv:2206.00364, table 1) for data of mean mu and deviation s, written for
x_t = sqrt(abar) x0 + sqrt(1 - abar) epsilon. With mu = 0 and s = 1 it is v-prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medsynth.diffusion.conditioning import Conditioning


@dataclass(frozen=True)
class ResidualPreconditioning:
    """Standard deviation of u by factor: `std` maps factors to it, 0 meaning no reference.

    Between two factors it is linear in log(factor); beyond the ends it is that of the end.

    Raises:
        ValueError: fewer than two factors besides 0, none for 0, or a value that is not above 0.
    """

    std: Mapping[int, float]

    def __post_init__(self) -> None:
        std = {int(factor): float(value) for factor, value in self.std.items()}
        if 0 not in std or len(std) < 3 or min(std) < 0 or min(std.values()) <= 0:
            raise ValueError(
                f"residual_std needs 0 (no reference) and at least two factors, all values above 0, "
                f"got {dict(self.std)}"
            )
        object.__setattr__(self, "std", dict(sorted(std.items())))

    def std_at(self, factor_map: Tensor) -> Tensor:
        """s for a map of factors (any shape); 0 where no reference acts."""
        factors = [n for n in self.std if n]
        knots = torch.tensor([math.log(n) for n in factors], device=factor_map.device)
        values = torch.tensor([self.std[n] for n in factors], device=factor_map.device)
        level = factor_map.float().clamp(min=1).log()
        high = torch.searchsorted(knots, level.contiguous()).clamp(1, len(factors) - 1)
        share = (level - knots[high - 1]) / (knots[high] - knots[high - 1])
        s = torch.lerp(values[high - 1], values[high], share.clamp(0, 1))
        return torch.where(factor_map > 0, s, self.std[0])

    def at(
        self, conditioning: Conditioning | None, abar: Tensor, *, like: Tensor
    ) -> Preconditioning:
        """The coefficients for a batch `like` x_t at `abar`, which broadcasts to it."""
        if conditioning is None:
            return Preconditioning(torch.zeros_like(like), torch.full_like(like, self.std[0]), abar)
        mean = torch.where(conditioning.factor_map > 0, conditioning.low_pass_image, 0).to(
            like.dtype
        )
        return Preconditioning(mean, self.std_at(conditioning.factor_map).to(like.dtype), abar)


@dataclass(frozen=True)
class Preconditioning:
    """What network input, output and target are relative to: mean and deviation of x0 (B, 1, H, W)."""

    mean: Tensor
    std: Tensor
    abar: Tensor

    @property
    def total(self) -> Tensor:
        """Standard deviation of x_t around sqrt(abar) mean; its inverse is c_in."""
        return (self.abar * self.std**2 + 1 - self.abar).sqrt()

    @property
    def c_skip(self) -> Tensor:
        """How much of x_t - sqrt(abar) mean is already the residual."""
        return self.abar.sqrt() * self.std**2 / self.total**2

    @property
    def c_out(self) -> Tensor:
        """The scale of the network's output."""
        return self.std * (1 - self.abar).sqrt() / self.total

    def network_input(self, x_t: Tensor) -> Tensor:
        """c_in (x_t - sqrt(abar) mean), of unit variance."""
        return (x_t - self.abar.sqrt() * self.mean) / self.total

    def to_x0(self, output: Tensor, x_t: Tensor) -> Tensor:
        """The mean, what c_skip passes of the input, less the network's part."""
        residual = x_t - self.abar.sqrt() * self.mean
        return self.mean + self.c_skip * residual - self.c_out * output

    def to_output(self, x0: Tensor, x_t: Tensor) -> Tensor:
        """What the network has to output at x_t for this x0: the inverse of `to_x0`."""
        residual = x_t - self.abar.sqrt() * self.mean
        return (self.mean + self.c_skip * residual - x0) / self.c_out

    def to_target(self, x0: Tensor, noise: Tensor) -> Tensor:
        """`to_output` for the x_t of x0 and noise, finite at every level: what the network is trained to say."""
        u = x0 - self.mean
        return (self.abar.sqrt() * self.std * noise - (1 - self.abar).sqrt() / self.std * u) / (
            self.total
        )
