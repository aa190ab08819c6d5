"""The residual scale: what what a network sees and predicts."""

import pytest
import torch

from medsynth.diffusion import schedule
from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.denoiser import Denoiser, to_target, to_x0
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.diffusion.schedule import per_sample

SCALE = ResidualPreconditioning({0: 1.0, 2: 0.02, 8: 0.1, 32: 0.2})
LEVELS = schedule.log_snr_linear()


@pytest.fixture
def batch():
    """x0 around a low-pass image with the deviation of its factor, noise, and the conditioning."""
    draw = torch.Generator().manual_seed(0)
    mean = torch.rand(4, 1, 64, 64, generator=draw) - 0.5
    factors = torch.tensor([2.0, 8.0, 32.0, 8.0]).reshape(4, 1, 1, 1).expand(4, 1, 64, 64)
    noise, fresh = (torch.randn(4, 1, 64, 64, generator=draw) for _ in range(2))
    return mean + SCALE.std_at(factors) * fresh, noise, Conditioning(mean, factors)


def test_the_scale_is_that_of_the_factor_and_linear_in_its_logarithm_between():
    factors = torch.tensor([0.0, 2.0, 4.0, 8.0, 32.0, 64.0, 1.0])
    assert SCALE.std_at(factors).tolist() == pytest.approx([1, 0.02, 0.06, 0.1, 0.2, 0.2, 0.02])


@pytest.mark.parametrize("t", [0, 300, 700, 999])
def test_input_and_target_have_unit_variance_at_every_level_and_factor(batch, t):
    x0, noise, conditioning = batch
    abar = LEVELS.abar(t).float()
    scaled = SCALE.at(conditioning, abar, like=x0)
    x_t = LEVELS.add_noise(x0, noise, t)
    for values in (scaled.network_input(x_t), scaled.to_target(x0, noise)):
        assert values.std(dim=(1, 2, 3)).tolist() == pytest.approx([1] * 4, abs=0.05)


@pytest.mark.parametrize("t", [0, 300, 999])
def test_the_target_gives_x0_back(batch, t):
    x0, noise, conditioning = batch
    scaled = SCALE.at(conditioning, LEVELS.abar(t).float(), like=x0)
    x_t = LEVELS.add_noise(x0, noise, t)
    assert torch.allclose(scaled.to_x0(scaled.to_target(x0, noise), x_t), x0, atol=1e-4)


def test_where_nothing_is_told_it_is_v_prediction(batch):
    x0, noise, _ = batch
    abar = per_sample(LEVELS.abar(torch.tensor([0, 200, 600, 999])), x0)
    scaled = SCALE.at(None, abar, like=x0)
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * noise
    target = to_target(x0, noise, abar, prediction_type="v_prediction")
    assert torch.allclose(scaled.to_target(x0, noise), target, atol=1e-5)
    assert torch.allclose(scaled.network_input(x_t), x_t, atol=1e-5)
    as_v = to_x0(target, x_t, abar, prediction_type="v_prediction")
    assert torch.allclose(scaled.to_x0(target, x_t), as_v, atol=1e-4)


def test_a_silent_network_is_the_best_linear_denoiser_of_the_residual(batch):
    x0, noise, conditioning = batch
    conditioned = Denoiser(
        network=lambda x, timesteps, conditioning: torch.zeros_like(x),
        schedule=LEVELS,
        reference_conditioned=True,
        preconditioning=SCALE,
        clip=None,
    ).with_conditioning(conditioning.low_pass_image, conditioning.factor_map)
    abar = LEVELS.abar(500).float()
    x_t = LEVELS.add_noise(x0, noise, 500)
    s = SCALE.std_at(conditioning.factor_map)
    # The posterior mean of a Gaussian of mean mu and deviation s (Wiener's filter).
    gain = abar.sqrt() * s**2 / (abar * s**2 + 1 - abar)
    wiener = conditioning.low_pass_image + gain * (x_t - abar.sqrt() * conditioning.low_pass_image)
    assert torch.allclose(conditioned(x_t, 500), wiener, atol=1e-5)


def test_low_pass_image_values_where_no_reference_acts_are_ignored(batch):
    x0, _, conditioning = batch
    nothing = Conditioning(conditioning.low_pass_image, torch.zeros_like(conditioning.factor_map))
    scaled = SCALE.at(nothing, LEVELS.abar(300).float(), like=x0)
    assert scaled.mean.abs().max() == 0
    assert torch.equal(scaled.std, torch.ones_like(x0))


@pytest.mark.parametrize(
    "std", [{}, {0: 1.0, 8: 0.1}, {2: 0.1, 8: 0.1, 4: 1.0}, {0: 1.0, 2: 0.0, 8: 0.1}]
)
def test_a_scale_that_cannot_be_is_refused(std):
    with pytest.raises(ValueError, match="residual_std"):
        ResidualPreconditioning(std)


def test_only_a_reference_conditioned_network_of_v_has_one():
    with pytest.raises(ValueError, match="reference-conditioned"):
        Denoiser(network=lambda x, t: x, schedule=LEVELS, preconditioning=SCALE)


def test_a_schedule_cut_short_keeps_its_timesteps():
    short = LEVELS.truncated(-2.5)
    assert short.num_train_timesteps < LEVELS.num_train_timesteps
    assert torch.equal(short.log_snr(range(10)), LEVELS.log_snr(range(10)))
    assert float(short.log_snr_table[-1]) == pytest.approx(-2.5, abs=0.02)
