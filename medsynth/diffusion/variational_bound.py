"""The variational bound L_vlb in bits per dimension, and its terms as a loss.

Ho et al. 2020 eq. 5 and Nichol & Dhariwal 2021 section 2: L_0 (decoder) + sum of KL terms + prior.
Works on any chain of timesteps: the training one, or a sampler's respaced one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser, Prediction
from medsynth.diffusion.schedule import Schedule, per_sample

GRAY_LEVELS = 256


@dataclass(frozen=True)
class Chain:
    """The moves t_i -> t_(i-1) of a Markov chain over `timesteps`, rising; the last move ends at x0.

    All tables are float64 of shape (N,), index 0 is the move to x0.
    """

    timesteps: Tensor
    abar: Tensor

    @classmethod
    def of(cls, schedule: Schedule, timesteps: Sequence[float] | None = None) -> Chain:
        """The chain over `timesteps` (None: every training timestep).

        Raises:
            ValueError: fewer than two timesteps, or not strictly rising.
        """
        whole = range(schedule.num_train_timesteps) if timesteps is None else timesteps
        t = torch.as_tensor(list(whole), dtype=torch.float64)
        if len(t) < 2 or not bool((t.diff() > 0).all()):
            raise ValueError("timesteps must be at least two and rise strictly")
        return cls(t, schedule.abar(t))

    @property
    def abar_next(self) -> Tensor:
        """abar after each move; 1 after the last."""
        return torch.cat([torch.ones(1, dtype=torch.float64), self.abar[:-1]])

    @property
    def log_beta(self) -> Tensor:
        """log(1 - abar / abar_next)."""
        return torch.log1p(-self.abar / self.abar_next)

    @property
    def log_beta_tilde(self) -> Tensor:
        """log of q(x_next | x_t, x0)'s variance, Ho et al. eq. 7.

        That of the last move would be log 0; as in the paper's code it is that of the move before.
        """
        table = torch.log1p(-self.abar_next) - torch.log1p(-self.abar) + self.log_beta
        table[0] = table[1]
        return table

    @property
    def x0_coefficient(self) -> Tensor:
        """What x0 counts in the mean of q(x_next | x_t, x0), Ho et al. eq. 7."""
        return self.abar_next.sqrt() * self.log_beta.exp() / (1 - self.abar)


def term(
    x0: Tensor,
    prediction: Prediction,
    index: Tensor,
    *,
    chain: Chain,
    gray_levels: int = GRAY_LEVELS,
) -> Tensor:
    """The bound's term of move `index` (B,) of the chain, bits per dimension (B,).

    The KL of q(x_next | x_t, x0) and the network's step, which differ by their x0 and their variance
    (eq. 15; without a learned one: beta~). Index 0: -log p(x0 | x_1) of `x0` in `gray_levels` even
    steps over [-1, 1].
    """
    index = index.cpu()
    smallest = per_sample(chain.log_beta_tilde[index], x0)
    largest = per_sample(chain.log_beta[index], x0)
    weight = prediction.variance_weight
    log_variance = smallest if weight is None else weight * largest + (1 - weight) * smallest
    log_variance = log_variance.expand_as(x0)
    shift = per_sample(chain.x0_coefficient[index], x0) * (x0 - prediction.x0)
    kl = 0.5 * (
        log_variance - smallest - 1
        + torch.exp(smallest - log_variance)
        + shift.square() * torch.exp(-log_variance)
    )  # fmt: skip
    decoder = _decoder(x0, prediction.x0, log_variance, gray_levels=gray_levels)
    nats = torch.where(per_sample(index == 0, x0).bool(), decoder, kl)
    return nats.flatten(1).mean(dim=1) / math.log(2)


def _decoder(x0: Tensor, mean: Tensor, log_variance: Tensor, *, gray_levels: int) -> Tensor:
    """-log of the normal distribution's mass in the gray level of each pixel (Ho et al. eq. 13)."""
    half = 1 / (gray_levels - 1)
    scale = torch.exp(-0.5 * log_variance)
    above = torch.special.ndtr((x0 - mean + half) * scale)
    below = torch.special.ndtr((x0 - mean - half) * scale)
    above = torch.where(x0 > 1 - half, 1.0, above)  # the outermost levels reach to infinity
    below = torch.where(x0 < half - 1, 0.0, below)
    return -(above - below).clamp(min=1e-12).log()


def prior(x0: Tensor, *, chain: Chain) -> Tensor:
    """KL of q(x_T | x0) and N(0, I), bits per dimension (B,)."""
    abar = chain.abar[-1].to(x0)
    nats = 0.5 * (abar * x0.square() - abar - torch.log1p(-abar))
    return nats.flatten(1).mean(dim=1) / math.log(2)


@dataclass(frozen=True)
class Bound:
    """`total` (B,), and its parts: `terms` (B, N) of the chain's moves, `prior` (B,)."""

    terms: Tensor
    prior: Tensor

    @property
    def total(self) -> Tensor:
        """Bits per dimension."""
        return self.terms.sum(dim=1) + self.prior


@torch.inference_mode()
def evaluate(
    denoiser: Denoiser,
    x0: Tensor,
    *,
    generator: torch.Generator,
    timesteps: Sequence[float] | None = None,
    gray_levels: int = GRAY_LEVELS,
) -> Bound:
    """The bound on -log p of the images x0 (B, C, H, W) in [-1, 1], with one noise per term.

    One network call for each of `timesteps` (None: all training timesteps).
    """
    chain = Chain.of(denoiser.schedule, timesteps)
    terms = []
    for i, t in enumerate(chain.timesteps):
        noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0.device)
        prediction = denoiser.predict(denoiser.schedule.add_noise(x0, noise, t), t)
        index = torch.full((len(x0),), i)
        terms.append(term(x0, prediction, index, chain=chain, gray_levels=gray_levels))
    return Bound(torch.stack(terms, dim=1), prior(x0, chain=chain))
