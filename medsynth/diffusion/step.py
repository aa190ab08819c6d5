"""One move of a sampler, from timestep t down to t_next, with the noise levels at both ends.

Samplers and conditions look at this and at nothing else of the schedule: the levels are taken from
it once, in float64, so that no two parts of the loop can disagree about the level they are at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from medsynth.diffusion.schedule import CLEAN, Schedule


@dataclass(frozen=True)
class Step:
    """Move number `index` (from 0) of `steps`, with `calls` network calls; log-SNR is +inf at `CLEAN`."""

    index: int
    steps: int
    t: float
    t_next: float
    log_snr: float
    log_snr_next: float
    calls: int = 1

    @property
    def abar(self) -> float:
        """abar at t, where the network is called."""
        return _sigmoid(self.log_snr)

    @property
    def abar_next(self) -> float:
        """abar at t_next, the level of the new sample; 1 for the last move."""
        return _sigmoid(self.log_snr_next)

    @property
    def sigma(self) -> float:
        """sqrt((1 - abar) / abar) at t."""
        return math.exp(-0.5 * self.log_snr)

    @property
    def sigma_next(self) -> float:
        """sqrt((1 - abar) / abar) at t_next; 0 for the last move."""
        return math.exp(-0.5 * self.log_snr_next)

    @property
    def last(self) -> bool:
        """Whether this move ends at x_0."""
        return self.index == self.steps - 1


def _sigmoid(log_snr: float) -> float:
    return 1 / (1 + math.exp(-log_snr))


def plan(schedule: Schedule, timesteps: Sequence[float]) -> tuple[Step, ...]:
    """The moves that call the network at each of `timesteps` and end at `CLEAN`.

    One network call per timestep: NFE is len(timesteps), whatever the schedule's length.

    Raises:
        ValueError: no timesteps, not strictly falling, or outside the schedule.
    """
    t = [float(value) for value in timesteps]
    falling = all(later < earlier for earlier, later in itertools.pairwise(t))
    if not t or not falling or t[0] > schedule.num_train_timesteps - 1 or t[-1] < 0:
        raise ValueError(
            f"timesteps must fall strictly from at most {schedule.num_train_timesteps - 1} to at "
            f"least 0, got {t}"
        )
    t.append(CLEAN)
    levels = schedule.log_snr(t).tolist()
    return tuple(
        Step(i, len(t) - 1, t[i], t[i + 1], levels[i], levels[i + 1]) for i in range(len(t) - 1)
    )


def check_steps(steps: int, *, most: int | None = None) -> int:
    """`steps` itself, an integer of at least 1 and at most `most`.

    Raises:
        ValueError: it is not.
    """
    whole = isinstance(steps, int) and not isinstance(steps, bool)
    if not whole or steps < 1 or (most is not None and steps > most):
        bound = "" if most is None else f" and at most {most} (the training timesteps)"
        raise ValueError(f"steps must be an integer of at least 1{bound}, got {steps!r}; try 20")
    return steps


def uniform_in_time(schedule: Schedule, steps: int) -> list[float]:
    """`steps` training timesteps from T - 1 to 0, evenly spaced and rounded (respacing).

    The first one is always T - 1, the level at which x_T ~ N(0, I) was trained, also where `steps`
    does not divide T.

    Raises:
        ValueError: `steps` is not an integer in [1, T].
    """
    last = schedule.num_train_timesteps - 1
    check_steps(steps, most=last + 1)
    if steps == 1:
        return [float(last)]
    return [float(round(last * (1 - i / (steps - 1)))) for i in range(steps)]


def uniform_in_log_snr(schedule: Schedule, steps: int, *, log_snr_min: float) -> list[float]:
    """`steps` timesteps, fractional, evenly spaced in log-SNR from t = T - 1 to t = 0.

    A schedule whose last level lies far below `log_snr_min` (cosine: -20 and less) is entered at
    `log_snr_min` instead: there x_t is N(0, I) already, and steps above it would be wasted.

    Raises:
        ValueError: `steps` is not a positive integer.
    """
    low, high = _range(schedule, steps, log_snr_min=log_snr_min)
    if steps == 1:
        return [float(schedule.t_at_log_snr(low))]
    levels = [low + (high - low) * i / (steps - 1) for i in range(steps)]
    return schedule.t_at_log_snr(levels).tolist()


def parts_in_log_snr(schedule: Schedule, steps: int, *, log_snr_min: float) -> list[float]:
    """The lower ends, as timesteps, of `steps` even parts of the same range; t = 0 is none of them.

    Raises:
        ValueError: `steps` is not a positive integer.
    """
    low, high = _range(schedule, steps, log_snr_min=log_snr_min)
    levels = [low + (high - low) * i / steps for i in range(steps)]
    return schedule.t_at_log_snr(levels).tolist()


def _range(schedule: Schedule, steps: int, *, log_snr_min: float) -> tuple[float, float]:
    check_steps(steps)
    low, high = schedule.log_snr([schedule.num_train_timesteps - 1, 0]).tolist()
    return max(low, log_snr_min), high
