"""Noise schedules: abar_t over the training timesteps, and the noise level at any t between them.

The forward process is variance preserving, q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I).
Timesteps are floats in [0, num_train_timesteps - 1]: few-step samplers visit levels between two
training timesteps, where log-SNR is interpolated linearly. `CLEAN` (t = -1) stands for x_0 itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CLEAN = -1.0


@dataclass(frozen=True)
class Schedule:
    """abar_t for t = 0 ... T - 1, strictly falling, float64 of shape (T,)."""

    alphas_cumprod: Tensor

    def __post_init__(self) -> None:
        abar = self.alphas_cumprod
        if abar.ndim != 1 or len(abar) < 2:
            raise ValueError(
                f"alphas_cumprod must be a vector of at least 2, got {tuple(abar.shape)}"
            )
        if not bool((abar[1:] < abar[:-1]).all()) or abar[0] >= 1 or abar[-1] <= 0:
            raise ValueError("alphas_cumprod must fall strictly and stay inside (0, 1)")
        object.__setattr__(self, "alphas_cumprod", abar.to(torch.float64).cpu())

    @property
    def num_train_timesteps(self) -> int:
        """T."""
        return len(self.alphas_cumprod)

    @property
    def betas(self) -> Tensor:
        """beta_t = 1 - abar_t / abar_{t-1}, float64 of shape (T,)."""
        previous = torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_cumprod[:-1]])
        return 1 - self.alphas_cumprod / previous

    @property
    def log_snr_table(self) -> Tensor:
        """log(abar_t / (1 - abar_t)) at the training timesteps, float64 of shape (T,)."""
        return torch.log(self.alphas_cumprod) - torch.log1p(-self.alphas_cumprod)

    def log_snr(self, t: Tensor | float | Sequence[float]) -> Tensor:
        """log-SNR at timesteps `t` (any shape, fractional allowed), +inf at `CLEAN`; float64."""
        t = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        inside = t.clamp(0, self.num_train_timesteps - 1)
        low = inside.floor().long().clamp(max=self.num_train_timesteps - 2)
        table = self.log_snr_table
        value = torch.lerp(table[low], table[low + 1], inside - low)
        return torch.where(t < 0, torch.full_like(value, math.inf), value)

    def abar(self, t: Tensor | float) -> Tensor:
        """abar at timesteps `t`, 1 at `CLEAN`; float64."""
        return torch.sigmoid(self.log_snr(t))

    def sigma(self, t: Tensor | float) -> Tensor:
        """sigma = sqrt((1 - abar) / abar) at timesteps `t`, 0 at `CLEAN`; float64."""
        return torch.exp(-0.5 * self.log_snr(t))

    def t_at_log_snr(self, log_snr: Tensor | float | Sequence[float]) -> Tensor:
        """The (fractional) timestep with this log-SNR, clamped to the schedule; float64."""
        value = torch.as_tensor(log_snr, dtype=torch.float64)
        table = self.log_snr_table  # falls with t
        index = torch.searchsorted(-table, -value.contiguous()).clamp(
            1, self.num_train_timesteps - 1
        )
        high, low = table[index - 1], table[index]
        return (index - 1 + (high - value) / (high - low)).clamp(0, self.num_train_timesteps - 1)

    def truncated(self, log_snr_min: float) -> Schedule:
        """The timesteps, under the same numbers, whose log-SNR is at least `log_snr_min`."""
        count = int((self.log_snr_table >= log_snr_min).sum())
        return Schedule(self.alphas_cumprod[: max(count, 2)])

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor | float) -> Tensor:
        """x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise; `t` is a scalar or of shape (B,)."""
        abar = per_sample(self.abar(t), x0)
        return abar.sqrt() * x0 + (1 - abar).sqrt() * noise


def per_sample(value: Tensor, like: Tensor) -> Tensor:
    """A scalar or (B,) coefficient shaped and cast so that it multiplies `like` (B, ...)."""
    value = value.to(device=like.device, dtype=like.dtype)
    return value.reshape(-1, *[1] * (like.ndim - 1)) if value.ndim else value


def cosine(
    num_train_timesteps: int = 1000, *, shift: float = 0.0, offset: float = 0.008
) -> Schedule:
    """Nichol & Dhariwal 2021, eq. 17, with betas clipped at 0.999.

    `shift` is added to log-SNR: 2 log(64 / size) for images of `size` pixels (Hoogeboom et al.
    2023, eq. 3), since a larger image hides the same structure under more noise.
    """
    t = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    abar = torch.cumprod(1 - betas, dim=0)
    return Schedule(torch.sigmoid(torch.log(abar) - torch.log1p(-abar) + shift))


def linear(
    num_train_timesteps: int = 1000, *, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Schedule:
    """Ho et al. 2020: betas rise linearly."""
    betas = torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float64)
    return Schedule(torch.cumprod(1 - betas, dim=0))


def scaled_linear(
    num_train_timesteps: int = 1000, *, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Schedule:
    """Rombach et al. 2022 (latent diffusion): the square roots of the betas rise linearly."""
    roots = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float64)
    return Schedule(torch.cumprod(1 - roots**2, dim=0))


def log_snr_linear(
    num_train_timesteps: int = 1000, *, log_snr_max: float = 10.0, log_snr_min: float = -7.0
) -> Schedule:
    """log-SNR falls linearly with t: uniform t is uniform log-SNR, and t *is* log-SNR to the
    network's embedding."""
    log_snr = torch.linspace(log_snr_max, log_snr_min, num_train_timesteps, dtype=torch.float64)
    return Schedule(torch.sigmoid(log_snr))


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "cosine": cosine,
    "linear": linear,
    "scaled_linear": scaled_linear,
    "log_snr_linear": log_snr_linear,
}


def build(kind: str, **options: float) -> Schedule:
    """The schedule called `kind`; `options` are that builder's own arguments.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in SCHEDULES:
        raise ValueError(f"unknown schedule {kind!r}, expected one of {', '.join(SCHEDULES)}")
    return SCHEDULES[kind](**options)
