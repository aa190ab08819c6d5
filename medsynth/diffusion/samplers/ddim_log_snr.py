"""DDIM on calls evenly spaced in log-SNR, none of them spent on the schedule's last level.

With n calls the range is cut into n parts, and each call takes the sample over one of them; the last one
ends at x0. These are the moves that a network distilled to few calls learned
(`medsynth.diffusion.distillation`); every other network can be sampled with them too.
"""

from __future__ import annotations

from dataclasses import dataclass

from medsynth.diffusion.samplers.ddim import DDIM
from medsynth.diffusion.schedule import Schedule
from medsynth.diffusion.step import Step, parts_in_log_snr, plan
from medsynth.registry import Method


@dataclass(frozen=True)
class DDIMLogSNR(DDIM):
    """`DDIM` with other levels; `log_snr_min` as in `DPMpp2M`."""

    log_snr_min: float = -10.2

    def plan(self, schedule: Schedule, steps: int) -> tuple[Step, ...]:
        """The lower ends of `steps` even parts of the log-SNR."""
        return plan(schedule, parts_in_log_snr(schedule, steps, log_snr_min=self.log_snr_min))


SAMPLER = Method(
    title="DDIM, deterministic, as networks distilled to few calls learned it",
    make=DDIMLogSNR,
    rank=7,
)
