"""Every sampler against Gaussian data, for which the right answer is known exactly."""

import math

import pytest
import torch
from closed_form import DOUBLE, GaussianData, GaussianDenoiser, outcome

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Prediction
from medsynth.diffusion.sampling import generators, sample
from medsynth.diffusion.step import plan


def one_pixel(std=0.3, *, schedule_kind="linear", **options):
    """N(0.2, std^2) in a single pixel, and its optimal denoiser."""
    mean = torch.full((1,), 0.2, dtype=DOUBLE)
    data = GaussianData(mean, torch.full((1, 1), std**2, dtype=DOUBLE), (1, 1))
    return GaussianDenoiser(data, schedule.build(schedule_kind, **options))


def std_of(denoiser, sampler, steps):
    return float(outcome(denoiser, sampler, steps=steps)[1].sqrt())


@pytest.mark.parametrize("kind", schedule.SCHEDULES)
def test_default_sampler_has_the_right_std_at_20_nfe(kind):
    denoiser = one_pixel(0.3, schedule_kind=kind)
    assert std_of(denoiser, samplers.build("dpmpp_2m"), 20) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("kind", schedule.SCHEDULES)
def test_the_stochastic_solver_has_the_right_std_at_20_nfe(kind):
    denoiser = one_pixel(0.3, schedule_kind=kind)
    assert std_of(denoiser, samplers.build("dpmpp_2m_sde"), 20) == pytest.approx(0.3, rel=0.04)


@pytest.mark.parametrize("std", [0.3, 0.05])
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
@pytest.mark.slow
def test_respacing_keeps_the_std(name, std):
    # 250 steps: MONAI 1.6's respaced DDPM gives 2.0 x (std 0.3) to 5 x (0.05) the right value
    ratio = std_of(one_pixel(std, schedule_kind="cosine"), samplers.build(name), 250) / std
    assert ratio == pytest.approx(1, abs=0.03 if std == 0.3 else 0.12)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.slow
def test_std_changes_smoothly_where_steps_do_not_divide_the_timesteps(name):
    denoiser = one_pixel()
    stds = [std_of(denoiser, samplers.build(name), steps) for steps in (249, 250, 251, 253)]
    assert max(stds) / min(stds) < 1.002


def error_of_std(sampler, steps):
    """Against the exact solution of the reverse process, taken from the first level to the last.

    The marginals of Gaussian data have variance abar c + 1 - abar. The deterministic flow scales the
    variance 1 that it starts with by the ratio of the last marginal to the first; a stochastic
    sampler has forgotten its start. The last call shrinks by the denoiser's own gain.
    """
    denoiser = one_pixel(num_train_timesteps=8001, beta_start=1.25e-5, beta_end=2.5e-3)
    planned = sampler.plan(denoiser.schedule, steps)
    c = 0.3**2
    first, last = (abar * c + 1 - abar for abar in (planned[0].abar, planned[-1].abar))
    variance = last if sampler.stochastic else last / first
    exact = math.sqrt(variance * planned[-1].abar) * c / last
    return abs(std_of(denoiser, sampler, steps) - exact)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.slow
def test_order_of_convergence_is_what_the_sampler_declares(name):
    sampler = samplers.build(name)
    coarse, fine = (error_of_std(sampler, steps) for steps in (161, 321))  # steps - 1 intervals
    order = math.log2(coarse / fine)
    assert order == pytest.approx(sampler.order, abs=0.25)


def test_three_estimates_make_third_order_where_no_noise_is_drawn():
    sampler = samplers.build("dpmpp_3m_sde", eta=0.0)
    coarse, fine = (error_of_std(sampler, steps) for steps in (81, 161))
    # more than 3 here: with even steps the leading errors of a Gaussian cancel from end to end
    assert math.log2(coarse / fine) > 2.8
    assert sampler.order == 3


@pytest.mark.parametrize(("steps", "moves"), [(1, 1), (2, 2), (7, 4), (20, 11)])
def test_heun_shares_the_network_calls_among_its_moves(steps, moves):
    planned = samplers.build("heun").plan(schedule.build("linear"), steps)
    assert len(planned) == moves
    assert sum(move.calls for move in planned) == steps


@pytest.mark.slow
@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 333, 1000])
def test_steps_are_network_calls(name, steps):
    denoiser = one_pixel()
    called = []

    class Counting(GaussianDenoiser):
        def predict(self, x_t, t):
            called.append(t)
            return super().predict(x_t, t)

    counting = Counting(denoiser.data, denoiser.schedule)
    sample(
        counting,
        samplers.build(name),
        steps=steps,
        noise=torch.zeros(1, 1, 1, 1),
        generators=generators(0, [0]),
    )
    assert len(called) == steps
    first = float(denoiser.schedule.log_snr(called[0]))
    lowest = float(denoiser.schedule.log_snr_table[-1])
    assert first == pytest.approx(lowest if name != "dpmpp_2m" else max(lowest, -10.2), abs=1e-6)
    # `ddim_log_snr` makes no call at the last level.
    assert steps == 1 or (called[-1] == pytest.approx(0, abs=1e-9)) == (name != "ddim_log_snr")


def test_cosine_schedule_is_entered_where_noise_is_all_there_is():
    cosine = schedule.build("cosine")
    first = samplers.build("dpmpp_2m").plan(cosine, 20)[0]
    assert float(cosine.log_snr_table[-1]) < -15
    assert first.log_snr == pytest.approx(-10.2, abs=1e-6)
    assert first.abar < 5e-5


def test_default_sampler_is_evenly_spaced_in_log_snr():
    planned = samplers.build("dpmpp_2m").plan(schedule.build("cosine"), 20)
    levels = torch.tensor([move.log_snr for move in planned], dtype=DOUBLE)
    torch.testing.assert_close(levels.diff(), levels.diff().mean().expand(19), rtol=1e-6, atol=0)
    assert planned[-1].t_next == schedule.CLEAN
    assert math.isinf(planned[-1].log_snr_next)


def test_ddim_with_eta_1_is_ancestral_sampling_with_small_variance():
    """Song et al. 2021, section 4.1."""
    denoiser = one_pixel()
    ancestral = outcome(denoiser, samplers.build("ddpm"), steps=30)
    implicit = outcome(denoiser, samplers.build("ddim", eta=1.0), steps=30)
    torch.testing.assert_close(ancestral, implicit, rtol=1e-9, atol=1e-12)


class Learned(GaussianDenoiser):
    """As if a network had said the same variance weight everywhere."""

    weight = 0.0

    def predict(self, x_t, t):
        x0 = super().predict(x_t, t).x0
        return Prediction(x0, torch.full_like(x0, self.weight))


@pytest.mark.parametrize(("weight", "variance"), [(0.0, "fixed_small"), (1.0, "fixed_large")])
def test_learned_variance_spans_small_to_large_also_when_respaced(weight, variance):
    plain = one_pixel()
    learned = Learned(plain.data, plain.schedule)
    learned.weight = weight
    ours = outcome(learned, samplers.build("ddpm", variance="learned"), steps=40)
    fixed = outcome(plain, samplers.build("ddpm", variance=variance), steps=40)
    torch.testing.assert_close(ours, fixed, rtol=1e-9, atol=1e-12)


def test_learned_variance_half_way_is_the_geometric_mean():
    plain = one_pixel()
    move = samplers.build("ddpm").plan(plain.schedule, 40)[38]
    zero, one = torch.zeros(1, 1, 1, 1, dtype=DOUBLE), torch.ones(1, 1, 1, 1, dtype=DOUBLE)

    def deviation(variance, weight):
        sampler = samplers.build("ddpm", variance=variance)
        return sampler.step(
            zero, Prediction(zero, weight), move, samplers.StepInputs(noise=one)
        ).item()

    small, large = deviation("fixed_small", None), deviation("fixed_large", None)
    middle = deviation("learned", 0.5 * one)
    assert middle == pytest.approx(math.sqrt(small * large), rel=1e-9)
    assert large > small * 1.01


def test_fixed_variances_are_those_of_the_move():
    """beta and beta~ of t -> t_next (Ho et al. eq. 7), not of the training step."""
    plain = one_pixel()
    move = samplers.build("ddpm").plan(plain.schedule, 10)[4]
    zero, one = torch.zeros(1, 1, 1, 1, dtype=DOUBLE), torch.ones(1, 1, 1, 1, dtype=DOUBLE)
    abar, abar_next = (float(plain.schedule.abar(t)) for t in (move.t, move.t_next))
    large = samplers.build("ddpm", variance="fixed_large").step(
        zero, Prediction(zero), move, samplers.StepInputs(noise=one)
    )
    small = samplers.build("ddpm").step(
        zero, Prediction(zero), move, samplers.StepInputs(noise=one)
    )
    assert large.item() ** 2 == pytest.approx(1 - abar / abar_next)
    assert small.item() ** 2 == pytest.approx((1 - abar_next) / (1 - abar) * (1 - abar / abar_next))


def test_learned_variance_needs_a_network_that_learned_it():
    with pytest.raises(ValueError, match="fixed_small"):
        outcome(one_pixel(), samplers.build("ddpm", variance="learned"), steps=5)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, 1001])
def test_steps_out_of_range_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be an integer"):
        samplers.build("ddim").plan(schedule.build("linear"), steps)


def test_options_and_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="dpmpp_2m, dpmpp_2m_sde, ddim, ddpm"):
        samplers.build("euler")
    with pytest.raises(ValueError, match="eta"):
        samplers.build("ddim", eta=1.5)
    with pytest.raises(ValueError, match="fixed_small"):
        samplers.build("ddpm", variance="small")
    with pytest.raises(ValueError, match="fall strictly"):
        plan(schedule.build("linear"), [10, 10, 3])
    with pytest.raises(ValueError, match="fall strictly"):
        plan(schedule.build("linear"), [1000, 0])
