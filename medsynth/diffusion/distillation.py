"""Distillation to few calls: one call of the student takes a sample as far as several of its teacher.

Salimans & Ho 2022 (arXiv:2202.00512, appendix G): x_t is a real image noised to where one of the student's
calls begins; the teacher's solver takes it to where that call ends, x_s; and the student's target is the
x0 whose one DDIM move, from x_t to x_s, ends at the same place. Without noise on the way the teacher's
path is a function of x_t, so the target has the detail of a sample, where the mean of all images that
x_t may come from is smooth. Guidance acts between the calls as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.loss import NoisedBatch
from medsynth.diffusion.samplers.ddim_log_snr import DDIMLogSNR
from medsynth.diffusion.samplers.dpmpp_2m import DPMpp2M
from medsynth.diffusion.sampling import follow
from medsynth.diffusion.schedule import Schedule, per_sample
from medsynth.diffusion.step import Step, plan


@dataclass(frozen=True)
class Lesson:
    """One of the student's calls, and the teacher's moves over the same way."""

    student: Step
    teacher: tuple[Step, ...]


def lessons(
    schedule: Schedule,
    *,
    log_snr_min: float | None,
    calls: int,
    teacher_steps: int,
    begin: float | None = None,
) -> list[Lesson]:
    """Of every call of `DDIMLogSNR` from `log_snr_min` up, sampling beginning at `begin` (None: there).

    The teacher's `teacher_steps` moves are evenly spaced in log-SNR; of the last call they end at
    the schedule's last level and at x0.

    Raises:
        ValueError: no calls, or fewer than two steps of the teacher.
    """
    if teacher_steps < 2:
        raise ValueError(f"teacher_steps must be at least 2, got {teacher_steps}")
    lowest = log_snr_min if begin is None else begin
    begun = schedule if lowest is None else schedule.truncated(lowest)
    highest = float(schedule.log_snr(0))
    found = []
    for step in DDIMLogSNR().plan(begun, calls):
        if log_snr_min is not None and step.log_snr < log_snr_min:
            continue
        moves = teacher_steps - 1 if step.last else teacher_steps
        high = highest if step.last else step.log_snr_next
        levels = torch.linspace(step.log_snr, high, moves + 1, dtype=torch.float64)
        planned = plan(schedule, schedule.t_at_log_snr(levels).tolist())
        found.append(Lesson(step, planned if step.last else planned[:-1]))
    return found


def followed(denoiser: Denoiser, x: Tensor, moves: Sequence[Step]) -> Tensor:
    """Where DPM-Solver++ 2M, which draws no noise on the way, takes x (B, 1, H, W) by `moves`."""
    return follow(x, moves, DPMpp2M(), lambda step: denoiser.predict)


def x0_of_move(x: Tensor, x_next: Tensor, step: Step) -> Tensor:
    """The x0 by which DDIM, without noise, moves from x to `x_next`: Eq. 12 of DDIM solved for it."""
    if step.last:
        return x_next
    ratio = ((1 - step.abar_next) / (1 - step.abar)) ** 0.5
    return (x_next - ratio * x) / (step.abar_next**0.5 - ratio * step.abar**0.5)


class DistillationObjective:
    """The squared error of the student's output, whose target leads where the teacher went.

    Args:
        teacher: of a residual scale, which the student has too; the batch's conditioning is put into it.
        lessons: as the function of that name makes them.

    Raises:
        ValueError: the teacher has no residual scale.
    """

    def __init__(self, teacher: Denoiser, lessons: list[Lesson]):
        if teacher.preconditioning is None:
            raise ValueError("only a network that has a residual scale can be distilled")
        self.teacher, self.preconditioning = teacher, teacher.preconditioning
        self.lessons = lessons

    def timesteps(self, quantiles: Tensor) -> Tensor:
        """Where the calls begin that positions (B,) in [0, 1) mean, float64."""
        begins = torch.tensor([lesson.student.t for lesson in self.lessons], dtype=torch.float64)
        return begins[(quantiles * len(begins)).long()]

    def losses(self, network: Callable[..., Tensor], batch: NoisedBatch, t: Tensor) -> Tensor:
        """Of each sample of `batch`, on its device, at timesteps t (B,) of `timesteps`; float32 (B,)."""
        schedule = self.teacher.schedule
        x_t = schedule.add_noise(batch.x0, batch.noise, t)
        abar = per_sample(schedule.abar(t), x_t)
        scaled = self.preconditioning.at(batch.conditioning, abar, like=x_t)
        target = scaled.to_output(self._taught(x_t, batch, t), x_t)
        output = network(
            scaled.network_input(x_t),
            t.to(x_t.device, torch.float32),
            conditioning=batch.conditioning,
            origin=batch.origin,
        ).float()
        return (output - target).square().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def _taught(self, x_t: Tensor, batch: NoisedBatch, t: Tensor) -> Tensor:
        """The x0 (B, 1, H, W) that the student has to say, those of one call together."""
        target = torch.empty_like(x_t)
        for lesson in self.lessons:
            rows = (t == lesson.student.t).nonzero()[:, 0].to(x_t.device)
            if not len(rows):
                continue
            conditioning = batch.conditioning and batch.conditioning.rows(rows)
            teacher = replace(self.teacher, conditioning=conditioning)
            x = x_t[rows]
            target[rows] = x0_of_move(x, followed(teacher, x, lesson.teacher), lesson.student)
        return target
