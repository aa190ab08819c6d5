"""How long the network calls of one slice take here, measured before anything is drawn."""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.experts import DenoiserWithExpert
from medsynth.diffusion.samplers import Sampler
from medsynth.diffusion.step import Step

CALIBRATION_SECONDS = 0.5


def sampling_seconds(denoiser: Denoiser, sampler: Sampler, steps: int, x: Tensor) -> float:
    """The calls for a batch like `x` (B, 1, H, W), each network at its own levels.

    An expert is taken to do all calls at the levels that are its own, as where references cover the image.
    """
    if not isinstance(denoiser, DenoiserWithExpert) or denoiser.expert is None:
        return steps * seconds_per_call(denoiser, x)
    share = _share_above(denoiser.expert.log_snr_min, _guided_plan(denoiser, sampler, steps))
    parts = ((share, denoiser.expert.denoiser), (1 - share, denoiser))
    return sum(part * steps * seconds_per_call(each, x) for part, each in parts if part)


def seconds_per_call(denoiser: Denoiser, x: Tensor) -> float:
    """The mean of up to three calls, after one that warms up.

    The mean and not the fastest: beside other programs it is what sampling will meet.
    """
    calls, started = 0, 0.0
    while calls < 2 or (calls < 4 and time.perf_counter() - started < CALIBRATION_SECONDS):
        if calls == 1:
            started = time.perf_counter()
        float(denoiser(x, denoiser.schedule.num_train_timesteps / 2).sum())
        calls += 1
    return (time.perf_counter() - started) / (calls - 1)


def _guided_plan(denoiser: Denoiser, sampler: Sampler, steps: int) -> Sequence[Step]:
    """The moves where a reference covers the whole image."""
    schedule, lowest = denoiser.schedule, denoiser.conditioned_log_snr_min
    return sampler.plan(schedule if lowest is None else schedule.truncated(lowest), steps)


def _share_above(log_snr_min: float, planned: Sequence[Step]) -> float:
    """Of the calls of `planned`, those from `log_snr_min` up."""
    levels = [step.log_snr for step in planned for _ in range(step.calls)]
    return sum(level >= log_snr_min for level in levels) / len(levels)
