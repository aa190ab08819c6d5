"""Which noise levels are trained: distributions over the training timesteps.

A batch carries `quantiles`, stratified numbers in [0, 1) that are a function of (seed, step) alone;
a distribution maps them to timesteps through the inverse of its cumulative distribution. What it has
learned from the losses is its state, which belongs to the checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medsynth.diffusion.schedule import Schedule
from medsynth.training.recipe import TimestepSamplerOptions


class TimestepSampler(Protocol):
    """What the trainer asks of a distribution of noise levels."""

    def sample(self, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """Timesteps (B,), int64, and the weights (B,) of their losses, for quantiles in [0, 1)."""
        ...

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Learn from the losses (B,) of timesteps (B,), in this order."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What has been learned."""
        ...

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` gave; nothing where it holds the state of another distribution."""
        ...


class _Fixed:
    """A distribution that learns nothing."""

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Nothing."""

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class UniformSampler(_Fixed):
    """Every training timestep as often; under `log_snr_linear` that is uniform log-SNR."""

    schedule: Schedule

    def sample(self, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        last = self.schedule.num_train_timesteps - 1
        t = (quantiles * (last + 1)).long().clamp(max=last)
        return t, torch.ones(len(t))


@dataclass(frozen=True)
class LogNormalSampler(_Fixed):
    """ln sigma ~ N(loc, scale^2) (Karras et al. 2022, table 1), cut at the schedule's ends.

    A choice of what the network shall be good at, so the losses are not weighted back.

    Raises:
        ValueError: less than 1 % of the distribution lies inside the schedule.
    """

    schedule: Schedule
    loc: float
    scale: float

    def __post_init__(self) -> None:
        low, high = self._ends
        if not high - low >= 0.01:
            ends = (math.exp(-0.5 * float(self.schedule.log_snr_table[i])) for i in (0, -1))
            raise ValueError(
                "timestep_sampler: a log-normal sigma around {:.3g} lies outside the schedule, whose "
                "sigma is {:.3g} to {:.3g}; choose loc between their logarithms".format(
                    math.exp(self.loc), *ends
                )
            )

    @property
    def _ends(self) -> tuple[float, float]:
        """The normal distribution's cumulative probability at the schedule's ends."""
        ln_sigma = -0.5 * self.schedule.log_snr_table[[0, -1]]
        low, high = torch.special.ndtr((ln_sigma - self.loc) / self.scale).tolist()
        return low, high

    def sample(self, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        low, high = torch.tensor(self._ends).double()
        normal = torch.special.ndtri(torch.lerp(low, high, quantiles))
        ln_sigma = self.loc + self.scale * normal
        t = self.schedule.t_at_log_snr(-2 * ln_sigma).round().long()
        return t, torch.ones(len(t))


class LossSecondMomentResampler:
    """p_t in proportion to sqrt(E[L_t^2]) over the last losses (Nichol & Dhariwal 2021, eq. 18).

    Losses are weighted by 1 / (T p_t), so that their expectation stays that of uniform timesteps.
    Uniform until every bin has a full history. The paper has one history for each of its timesteps;
    `bins` lets that many groups of neighbors share one, for short trainings with small batches.

    Raises:
        ValueError: the timesteps cannot be shared out evenly among the bins.
    """

    def __init__(
        self, schedule: Schedule, *, history: int = 10, bins: int | None = None, floor: float = 1e-3
    ):
        self.timesteps = schedule.num_train_timesteps
        bins = self.timesteps if bins is None else bins
        if bins < 1 or self.timesteps % bins:
            raise ValueError(
                f"timestep_sampler: bins must divide the {self.timesteps} training timesteps, got {bins}"
            )
        if history < 1:
            raise ValueError(f"timestep_sampler: history must be at least 1, got {history}")
        # What stays uniform, so that no level is forgotten; 0.001 in the paper's code.
        self.floor = floor
        self.losses = torch.zeros(bins, history, dtype=torch.float64)
        self.counts = torch.zeros(bins, dtype=torch.int64)

    @property
    def probabilities(self) -> Tensor:
        """Of each bin, float64."""
        bins, history = self.losses.shape
        uniform = torch.full((bins,), 1 / bins, dtype=torch.float64)
        weight = self.losses.square().mean(dim=1).sqrt()
        if not bool((self.counts == history).all()) or not weight.sum() > 0:
            return uniform
        return torch.lerp(weight / weight.sum(), uniform, self.floor)

    def sample(self, quantiles: Tensor) -> tuple[Tensor, Tensor]:
        """See `TimestepSampler`."""
        probabilities = self.probabilities
        bins = len(probabilities)
        upper = probabilities.cumsum(0)
        chosen = torch.searchsorted(upper, quantiles.double(), right=True).clamp(max=bins - 1)
        into = (quantiles - (upper - probabilities)[chosen]) / probabilities[chosen]
        size = self.timesteps // bins
        within = (into * size).long().clamp(0, size - 1)
        return chosen * size + within, (1 / (bins * probabilities[chosen])).float()

    def update(self, t: Tensor, losses: Tensor) -> None:
        """See `TimestepSampler`."""
        bins, history = self.losses.shape
        for index, loss in zip((t * bins // self.timesteps).tolist(), losses.tolist(), strict=True):
            if self.counts[index] == history:
                self.losses[index] = self.losses[index].roll(-1)
                self.losses[index, -1] = loss
            else:
                self.losses[index, self.counts[index]] = loss
                self.counts[index] += 1

    def state(self) -> dict[str, Tensor]:
        """See `TimestepSampler`."""
        return {"losses": self.losses.clone(), "counts": self.counts.clone()}

    def load(self, state: dict[str, Tensor]) -> None:
        """See `TimestepSampler`."""
        if state.keys() == {"losses", "counts"} and state["losses"].shape == self.losses.shape:
            self.losses, self.counts = state["losses"].clone(), state["counts"].clone()


def build(options: TimestepSamplerOptions, schedule: Schedule) -> TimestepSampler:
    """The distribution that the recipe asks for.

    Raises:
        ValueError: values that the distribution cannot have.
    """
    if options.kind == "log_normal":
        loc = -2.0 if options.loc is None else options.loc
        return LogNormalSampler(schedule, loc, 1.2 if options.scale is None else options.scale)
    if options.kind == "loss_second_moment":
        history = 10 if options.history is None else options.history
        return LossSecondMomentResampler(schedule, history=history, bins=options.bins)
    return UniformSampler(schedule)
