"""Which noise levels are trained: distributions over timesteps, and what their weights promise."""

import pytest
import torch

from medsynth.diffusion import schedule
from medsynth.training import timestep_samplers as levels
from medsynth.training.recipe import TimestepSamplerOptions
from medsynth.training.timestep_samplers import LossSecondMomentResampler

SCHEDULE = schedule.build("log_snr_linear", num_train_timesteps=100)
# One position in the middle of each of many equal parts: sums over them are integrals.
EVENLY = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000


def build(**options):
    return levels.build(TimestepSamplerOptions(**options), SCHEDULE)


def taught(losses, *, history=10, bins=None):
    """A resampler that has seen `losses` (T,) at every timestep `history` times."""
    resampler = LossSecondMomentResampler(SCHEDULE, history=history, bins=bins)
    for _ in range(history):
        resampler.update(torch.arange(100), losses)
    return resampler


def test_uniform_draws_every_timestep_as_often():
    t, weight = build(kind="uniform").sample(EVENLY)
    assert torch.equal(torch.bincount(t), torch.full((100,), 2000))
    assert torch.equal(weight, torch.ones_like(weight))


def test_log_normal_has_the_mean_and_spread_of_ln_sigma_that_were_asked_for():
    fine = schedule.build("log_snr_linear", num_train_timesteps=5000)
    t, weight = levels.build(
        TimestepSamplerOptions("log_normal", loc=-1.0, scale=0.5), fine
    ).sample(EVENLY)
    ln_sigma = fine.sigma(t).log()
    assert float(ln_sigma.mean()) == pytest.approx(-1.0, abs=0.002)
    assert float(ln_sigma.std()) == pytest.approx(0.5, abs=0.002)
    assert torch.equal(weight, torch.ones_like(weight))


def test_log_normal_is_cut_and_not_heaped_at_the_schedules_ends():
    t, _ = build(kind="log_normal", loc=-4.5, scale=1.0).sample(EVENLY)  # sigma begins at exp(-5)
    counts = torch.bincount(t, minlength=100).double()
    assert counts[0] < counts[2]
    assert t.min() == 0


def test_log_normal_outside_the_schedule_is_refused():
    with pytest.raises(ValueError, match=r"sigma around 4.85e\+08 lies outside"):
        build(kind="log_normal", loc=20.0)


def test_resampler_is_uniform_until_every_history_is_full():
    resampler = LossSecondMomentResampler(SCHEDULE)
    losses = torch.linspace(0.1, 3, 100)
    for _ in range(9):
        resampler.update(torch.arange(100), losses)
    resampler.update(torch.arange(99), losses[:99])
    assert torch.equal(resampler.probabilities, torch.full((100,), 0.01, dtype=torch.float64))
    resampler.update(torch.tensor([99]), losses[99:])
    assert resampler.probabilities[99] > 10 * resampler.probabilities[0]


def test_resampler_draws_in_proportion_to_the_root_mean_square_of_the_last_ten_losses():
    """Nichol & Dhariwal 2021, eq. 18, and a floor of 0.001."""
    resampler = taught(torch.full((100,), 50.0))  # forgotten by what follows
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(10, 100, generator=generator, dtype=torch.float64) + 0.1
    for row in losses:
        resampler.update(torch.arange(100), row)
    expected = losses.square().mean(dim=0).sqrt()
    expected = 0.999 * expected / expected.sum() + 0.001 / 100
    torch.testing.assert_close(resampler.probabilities, expected)
    t, _ = resampler.sample(EVENLY)
    drawn = torch.bincount(t, minlength=100) / len(EVENLY)
    torch.testing.assert_close(drawn.double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("bins", [None, 10, 1])
def test_weights_leave_the_expected_loss_what_uniform_timesteps_give(bins):
    losses = torch.linspace(3, 0.1, 100, dtype=torch.float64) ** 2
    t, weight = taught(losses, bins=bins).sample(EVENLY)
    assert float((losses[t] * weight).mean()) == pytest.approx(float(losses.mean()), rel=1e-3)


def test_importance_sampling_lowers_the_variance_of_the_loss():
    """What it is for."""
    losses = torch.linspace(3, 0.01, 100, dtype=torch.float64) ** 3
    t, weight = taught(losses).sample(EVENLY)
    assert (losses[t] * weight).var() < 0.01 * losses.var()


def test_bins_share_one_history_among_neighbors():
    losses = torch.ones(100)
    losses[20:30] = 4
    resampler = taught(losses, bins=10)
    t, _ = resampler.sample(EVENLY)
    counts = torch.bincount(t, minlength=100)
    assert counts[20:30].float().std() < 2
    assert float(counts[25] / counts[50]) == pytest.approx(4, rel=0.01)


def test_losses_of_nothing_leave_it_uniform():
    assert torch.equal(
        taught(torch.zeros(100)).probabilities, torch.full((100,), 0.01, dtype=torch.float64)
    )


def test_what_was_learned_survives_in_the_state():
    resampler = taught(torch.linspace(0.1, 3, 100))
    other = LossSecondMomentResampler(SCHEDULE)
    other.load(resampler.state())
    for key, value in zip(resampler.sample(EVENLY), other.sample(EVENLY), strict=True):
        assert torch.equal(key, value)
    other.load({})  # a run that was uniform before
    assert other.counts.sum() == 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "normal"}, "kind must be one of uniform, log_normal, loss_second_moment"),
        ({"kind": "uniform", "loc": 1.0}, "loc does nothing with kind uniform"),
        ({"kind": "log_normal", "history": 10}, "history does nothing"),
        ({"kind": "log_normal", "scale": 0.0}, "scale must be above 0"),
        ({"kind": "loss_second_moment", "bins": 3}, "bins must divide the 100"),
        ({"kind": "loss_second_moment", "history": 0}, "history must be at least 1"),
    ],
)
def test_values_that_cannot_act_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
