"""The variational bound against closed forms: Gaussian data, for which the bound can be tight."""

import math
from dataclasses import dataclass

import pytest
import torch

from medsynth.diffusion import schedule
from medsynth.diffusion import variational_bound as vlb
from medsynth.diffusion.denoiser import Denoiser, Prediction
from medsynth.diffusion.step import uniform_in_time
from medsynth.diffusion.variational_bound import Chain

DOUBLE = torch.float64
MEAN, STD = 0.1, 0.3
T = 60
SCHEDULE = schedule.build("log_snr_linear", num_train_timesteps=T)
# Gauss-Hermite with two points an axis: exact for squares of x0 and noise, which the KL terms are.
AXIS = torch.tensor([-1.0, 1.0], dtype=DOUBLE)
X0 = (MEAN + STD * AXIS.repeat_interleave(2)).reshape(4, 1, 1, 1)
NOISE = AXIS.repeat(2).reshape(4, 1, 1, 1)


def exact_prediction(x_t, abar, abar_next):
    """E[x0 | x_t], and as variance weight the one of the exact reverse step of N(MEAN, STD^2)."""
    gain = abar.sqrt() * STD**2 / (abar * STD**2 + 1 - abar)
    x0 = MEAN + gain * (x_t - abar.sqrt() * MEAN)
    beta = 1 - abar / abar_next
    # Var(x_next | x_t) of jointly normal variables
    variance = beta * (abar_next * STD**2 + 1 - abar_next) / (abar * STD**2 + 1 - abar)
    return x0, variance


def predicted(chain, i, x_t):
    x0, variance = exact_prediction(x_t, chain.abar[i], chain.abar_next[i])
    small, large = chain.log_beta_tilde[i], chain.log_beta[i]
    return Prediction(x0, ((variance.log() - small) / (large - small)).expand_as(x_t))


def expected_terms(chain, *, learned):
    """Each term's expectation over x0 and noise, by quadrature."""
    terms = []
    for i, abar in enumerate(chain.abar):
        x_t = abar.sqrt() * X0 + (1 - abar).sqrt() * NOISE
        prediction = predicted(chain, i, x_t)
        if not learned:
            prediction = Prediction(prediction.x0)
        index = torch.full((4,), i)
        terms.append(vlb.term(X0, prediction, index, chain=chain, gray_levels=20_001).mean())
    return torch.stack(terms)


def test_the_bound_of_the_exact_reverse_process_is_the_datas_entropy():
    """For Gaussian data the reverse steps are Gaussian: nothing is lost, and L_vlb = H(x0)."""
    chain = Chain.of(SCHEDULE)
    total = expected_terms(chain, learned=True).sum() + vlb.prior(X0, chain=chain).mean()
    entropy = 0.5 * math.log(2 * math.pi * math.e * STD**2) - math.log(1e-4)  # in steps of 1e-4
    assert float(total) == pytest.approx(entropy / math.log(2), abs=1e-4)


def test_fixed_variance_costs_what_its_gaussians_say():
    """Each KL term in expectation: 1/2 (c^2 Var(x0 | x_t)) / beta~, c the mean's share of x0."""
    chain = Chain.of(SCHEDULE)
    terms = expected_terms(chain, learned=False)[1:]
    abar, abar_next = chain.abar[1:], chain.abar_next[1:]
    left = STD**2 * (1 - abar) / (abar * STD**2 + 1 - abar)
    beta = 1 - abar / abar_next
    share = abar_next.sqrt() * beta / (1 - abar)  # Ho et al. eq. 7
    small = (1 - abar_next) / (1 - abar) * beta
    torch.testing.assert_close(terms, 0.5 * share**2 * left / small / math.log(2))


@pytest.mark.parametrize("i", [1, 7, 59])
def test_a_term_is_the_kl_of_its_two_gaussians(i):
    chain = Chain.of(SCHEDULE)
    abar, abar_next = chain.abar[i], chain.abar_next[i]
    x0, x_t = torch.tensor(0.4, dtype=DOUBLE), torch.tensor(-0.2, dtype=DOUBLE)
    guess, weight = torch.tensor(0.1, dtype=DOUBLE), torch.tensor(0.3, dtype=DOUBLE)
    beta = 1 - abar / abar_next
    small = (1 - abar_next) / (1 - abar) * beta

    def gaussian(value, variance):
        mean = (
            abar_next.sqrt() * beta * value + (1 - beta).sqrt() * (1 - abar_next) * x_t
        ) / (1 - abar)  # fmt: skip
        return torch.distributions.Normal(mean, variance.sqrt())

    q, p = gaussian(x0, small), gaussian(guess, beta**weight * small ** (1 - weight))
    expected = torch.distributions.kl_divergence(q, p) / math.log(2)
    shape = (1, 1, 1, 1)
    prediction = Prediction(guess.reshape(shape), weight.reshape(shape))
    term = vlb.term(x0.reshape(shape), prediction, torch.tensor([i]), chain=chain)
    assert float(term) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("mean", [0.99, -0.99])
def test_the_decoder_gives_every_gray_level_its_probability(mean):
    """They sum to 1, and the outermost levels take the tails."""
    chain = Chain.of(SCHEDULE)
    x0 = torch.linspace(-1, 1, 256, dtype=DOUBLE).reshape(-1, 1, 1, 1)
    prediction = Prediction(torch.full_like(x0, mean))
    bits = vlb.term(x0, prediction, torch.zeros(256, dtype=torch.long), chain=chain)
    probability = 2.0**-bits
    assert float(probability.sum()) == pytest.approx(1, abs=1e-9)
    normal = torch.distributions.Normal(0.99, chain.log_beta_tilde[1].mul(0.5).exp())
    outermost = float(1 - normal.cdf(torch.tensor(1 - 1 / 255)))
    assert float(probability[-1 if mean > 0 else 0]) == pytest.approx(outermost)


def test_the_prior_is_the_kl_to_a_standard_normal():
    chain = Chain.of(schedule.build("log_snr_linear", log_snr_min=-2.0))
    x0 = torch.full((1, 1, 2, 2), 0.7, dtype=DOUBLE)
    q = torch.distributions.Normal(chain.abar[-1].sqrt() * 0.7, (1 - chain.abar[-1]).sqrt())
    standard = torch.distributions.Normal(torch.tensor(0.0).double(), torch.tensor(1.0).double())
    expected = float(torch.distributions.kl_divergence(q, standard)) / math.log(2)
    assert float(vlb.prior(x0, chain=chain)) == pytest.approx(expected, rel=1e-9)


@dataclass
class Exact:
    """A network whose v is that of the optimal denoiser."""

    def __call__(self, x_t, timesteps):
        abar = SCHEDULE.abar(timesteps).reshape(-1, 1, 1, 1)
        x0, _ = exact_prediction(x_t, abar, abar)
        return (abar.sqrt() * x_t - x0) / (1 - abar).sqrt()


@pytest.mark.slow
@pytest.mark.parametrize("steps", [60, 13])
def test_evaluating_a_denoiser_gives_the_expected_bound(steps):
    """Also over a respaced chain, whose betas are its own; many pixels stand for the expectation."""
    timesteps = uniform_in_time(SCHEDULE, steps)[::-1]
    generator = torch.Generator().manual_seed(0)
    x0 = MEAN + STD * torch.randn(1, 1, 200, 200, generator=generator, dtype=DOUBLE)
    denoiser = Denoiser(Exact(), SCHEDULE, clip=None, dtype=DOUBLE)
    bound = vlb.evaluate(denoiser, x0, generator=generator, timesteps=timesteps, gray_levels=20_001)
    chain = Chain.of(SCHEDULE, timesteps)
    expected = expected_terms(chain, learned=False).sum() + vlb.prior(X0, chain=chain).mean()
    assert bound.terms.shape == (1, steps)
    # the sum of `steps` means of 40,000 chi-squares; their spread is far below 1 %
    assert float(bound.total) == pytest.approx(float(expected), rel=0.01)


def test_fewer_steps_give_a_looser_bound():
    totals = [
        expected_terms(Chain.of(SCHEDULE, uniform_in_time(SCHEDULE, n)[::-1]), learned=False).sum()
        for n in (60, 20, 10)
    ]
    assert totals[0] < totals[1] < totals[2]


@pytest.mark.parametrize("timesteps", [[5], [3, 3], [9, 2]])
def test_a_chain_must_rise(timesteps):
    with pytest.raises(ValueError, match="rise strictly"):
        Chain.of(SCHEDULE, timesteps)
