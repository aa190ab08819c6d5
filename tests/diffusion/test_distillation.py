"""Distillation: whose way the student is taught, and that it ends where the teacher does."""

from dataclasses import dataclass

import pytest
import torch

from medsynth.diffusion import schedule as schedules
from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.distillation import DistillationObjective, followed, lessons, x0_of_move
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.diffusion.samplers import build

SCHEDULE = schedules.build("log_snr_linear", log_snr_max=10.0, log_snr_min=-7.0)
SCALE = ResidualPreconditioning({0: 1.0, 4: 0.1, 8: 0.2})


@dataclass(frozen=True)
class Batch:
    x0: torch.Tensor
    noise: torch.Tensor
    conditioning: Conditioning
    origin: torch.Tensor


def batch(count=8, size=16):
    rng = torch.Generator().manual_seed(3)
    low = 0.3 * torch.randn(count, 1, size, size, generator=rng)
    x0 = low + 0.2 * torch.randn(low.shape, generator=rng)
    conditioning = Conditioning(low, torch.full_like(low, 8.0))
    noise = torch.randn(low.shape, generator=rng)
    return Batch(x0, noise, conditioning, torch.zeros(count, 2))


def ideal(x, timesteps, conditioning=None, origin=None):
    """Of data whose residual is Gaussian with the scale's own deviation: all is in c_skip."""
    return torch.zeros_like(x)


def teacher(network=ideal):
    return Denoiser(network, SCHEDULE, reference_conditioned=True, preconditioning=SCALE, clip=None)


def all_lessons(**options):
    return lessons(SCHEDULE, **{"log_snr_min": -2.5, "calls": 4, "teacher_steps": 4, **options})


def test_the_lessons_are_the_calls_of_the_sampler():
    planned = build("ddim_log_snr").plan(SCHEDULE.truncated(-2.5), 4)
    taught = all_lessons()
    assert [lesson.student for lesson in taught] == list(planned)
    assert [round(step.log_snr, 1) for step in planned] == [-2.5, 0.6, 3.8, 6.9]
    for lesson in taught:
        assert lesson.teacher[0].log_snr == pytest.approx(lesson.student.log_snr)
        assert lesson.teacher[-1].log_snr_next == pytest.approx(lesson.student.log_snr_next)
        assert len(lesson.teacher) == 4
    assert taught[-1].teacher[-1].last
    assert taught[-1].teacher[-1].log_snr == pytest.approx(10)


def test_calls_below_the_experts_level_are_not_taught():
    taught = all_lessons(log_snr_min=0.0, begin=-2.5)
    assert [lesson.student for lesson in taught] == [lesson.student for lesson in all_lessons()[1:]]


@pytest.mark.parametrize("number", range(4))
def test_the_move_that_is_taught_ends_where_the_teacher_does(number):
    """The identity that the target is solved from, at every call."""
    lesson, given = all_lessons()[number], batch()
    x = SCHEDULE.add_noise(given.x0, given.noise, lesson.student.t)
    denoiser = teacher().with_conditioning(
        given.conditioning.low_pass_image, given.conditioning.factor_map
    )
    end = followed(denoiser, x, lesson.teacher)
    x0 = x0_of_move(x, end, lesson.student)
    sampler = build("ddim_log_snr")
    moved = sampler.step(x, type("", (), {"x0": x0})(), lesson.student, None)
    torch.testing.assert_close(moved, end, atol=1e-4, rtol=1e-4)


def exact_end(x, step, mean, deviation):
    """Of the probability-flow ODE for a Gaussian: its standard score stays."""
    before = (step.abar * deviation**2 + 1 - step.abar) ** 0.5
    after = (step.abar_next * deviation**2 + 1 - step.abar_next) ** 0.5
    return step.abar_next**0.5 * mean + after / before * (x - step.abar**0.5 * mean)


@pytest.mark.parametrize("number", range(4))
def test_the_teacher_follows_the_flow(number):
    lesson, given = all_lessons(teacher_steps=40)[number], batch()
    low = given.conditioning.low_pass_image
    x = SCHEDULE.add_noise(given.x0, given.noise, lesson.student.t)
    denoiser = teacher().with_conditioning(low, given.conditioning.factor_map)
    exact = exact_end(x, lesson.student, low, 0.2)
    torch.testing.assert_close(followed(denoiser, x, lesson.teacher), exact, atol=3e-3, rtol=0)


def test_the_loss_is_zero_for_who_says_where_the_flow_ends_and_not_for_the_mean():
    """The mean of all images is what the teacher itself says in one call, and what is smooth."""
    given = batch()
    low = given.conditioning.low_pass_image
    objective = DistillationObjective(teacher(), all_lessons(teacher_steps=40))
    t = objective.timesteps((torch.arange(8) + 0.5) / 8)
    assert t.unique().numel() == 4
    steps = {lesson.student.t: lesson.student for lesson in objective.lessons}

    def student(seen, timesteps, conditioning, origin):
        x = SCHEDULE.add_noise(given.x0, given.noise, t)
        said = []
        for row, time in enumerate(t.tolist()):
            step, one = steps[time], x[row : row + 1]
            x0 = x0_of_move(one, exact_end(one, step, low[row : row + 1], 0.2), step)
            scale = SCALE.at(
                conditioning.rows(torch.tensor([row])), torch.tensor(step.abar), like=one
            )
            said.append(scale.to_output(x0, one))
        return torch.cat(said)

    assert objective.losses(student, given, t).max() < 2e-3
    assert objective.losses(ideal, given, t).min() > 20 * objective.losses(student, given, t).max()


def test_who_has_no_residual_scale_cannot_teach():
    with pytest.raises(ValueError, match="residual scale"):
        DistillationObjective(Denoiser(ideal, SCHEDULE), [])


def test_one_step_of_the_teacher_teaches_nothing():
    with pytest.raises(ValueError, match="teacher_steps"):
        all_lessons(teacher_steps=1)
