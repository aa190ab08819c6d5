"""What every kind of training shares: how fast it learns, and the average that it keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from medsynth.training.recipe import Optimizer, Refinement


def learning_rate(step: int, *, steps: int, schedule: Optimizer | Refinement) -> float:
    """Linear warm-up, constant, linear decay to zero over the last `decay` share of the steps."""
    rise = (step + 1) / max(1, schedule.warmup)
    fall = (steps - step) / max(1.0, schedule.decay * steps)
    return schedule.lr * min(1.0, rise, max(0.0, fall))


@torch.no_grad()
def update_average(
    average: dict[str, Tensor], state: dict[str, Tensor], *, step: int, ema: float
) -> None:
    """Warmed-up average: early steps would otherwise weigh for thousands of steps."""
    decay = min(ema, (1 + step) / (10 + step))
    names = [name for name, value in average.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[n] for n in names], [state[n] for n in names], 1 - decay)
