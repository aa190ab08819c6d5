"""The training loss: simple and hybrid, for each prediction type."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from medsynth.diffusion import schedule
from medsynth.diffusion import variational_bound as vlb
from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.denoiser import PREDICTION_TYPES, Prediction, to_target, to_x0
from medsynth.diffusion.loss import Objective
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.training.batches import Batch, conditioned_quantiles

SCHEDULE = schedule.build("cosine", num_train_timesteps=100)
T = torch.tensor([0, 1, 40, 99])


def batch(count=4):
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(count, 1, 8, 8, generator=generator) * 2 - 1
    noise = torch.randn(x0.shape, generator=generator)
    return Batch(x0, noise, torch.zeros(count), torch.zeros(count, 2), None)


class Output(nn.Module):
    """Says the same whatever it is shown: what it says are its parameters."""

    def __init__(self, output):
        super().__init__()
        self.output = nn.Parameter(output)

    def forward(self, x_t, timesteps, *, conditioning=None, origin=None):
        return self.output


def objective(**options):
    values = {"prediction_type": "v_prediction", "learned_variance": True}
    return Objective(SCHEDULE, **(values | options))


def output(seed=1, channels=2):
    return torch.randn(4, channels, 8, 8, generator=torch.Generator().manual_seed(seed)) / 2


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_simple_loss_is_the_mean_square_of_what_is_predicted(kind):
    b = batch()
    abar = SCHEDULE.abar(T).float().reshape(-1, 1, 1, 1)
    target = to_target(b.x0, b.noise, abar, prediction_type=kind)
    simple = objective(prediction_type=kind, learned_variance=False)
    losses = simple.losses(Output(target + 0.5), b, T)
    torch.testing.assert_close(losses, torch.full((4,), 0.25))


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_hybrid_loss_adds_the_bound_of_all_terms(kind):
    """L_simple + 0.001 L_vlb; one term drawn of T stands for T of them."""
    b, out = batch(), output()
    net = Output(out)
    hybrid = objective(prediction_type=kind).losses(net, b, T)
    simple = objective(prediction_type=kind, learned_variance=False).losses(
        Output(out[:, :1].clone()), b, T
    )
    abar = SCHEDULE.abar(T).float().reshape(-1, 1, 1, 1)
    x_t = SCHEDULE.add_noise(b.x0, b.noise, T)
    x0 = to_x0(out[:, :1], x_t, abar, prediction_type=kind)
    prediction = Prediction(x0, (out[:, 1:] + 1) / 2)
    term = vlb.term(b.x0, prediction, T, chain=vlb.Chain.of(SCHEDULE))
    torch.testing.assert_close(hybrid, simple + 0.001 * 100 * term)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_bound_teaches_the_variance_and_never_the_mean(kind):
    """The stop-gradient: the mean's gradient is that of L_simple alone."""
    b, out = batch(), output()
    net, plain = Output(out), Output(out[:, :1].clone())
    objective(prediction_type=kind, vlb_weight=1.0).losses(net, b, T).sum().backward()
    objective(prediction_type=kind, learned_variance=False).losses(plain, b, T).sum().backward()
    torch.testing.assert_close(net.output.grad[:, :1], plain.output.grad)
    assert bool((net.output.grad[:, 1:].abs().sum(dim=(1, 2, 3)) > 0).all())


def conditioned(batch):
    """The batch, conditioned on a low-pass image of factor 8 in its upper half."""
    factor_map = torch.zeros_like(batch.x0)
    factor_map[..., :4, :] = 8
    return replace(batch, conditioning=Conditioning(batch.x0 * 0.9, factor_map))


PRECONDITIONING = ResidualPreconditioning({0: 1.0, 4: 0.05, 8: 0.1})


def test_with_a_residual_scale_the_loss_is_that_of_its_own_target():
    b = conditioned(batch())
    abar = SCHEDULE.abar(T).float().reshape(-1, 1, 1, 1)
    scaled = PRECONDITIONING.at(b.conditioning, abar, like=b.x0)
    seen = []

    def net(x, timesteps, *, conditioning, origin):
        seen.append(x)
        return scaled.to_target(b.x0, b.noise) + 0.5

    losses = objective(preconditioning=PRECONDITIONING, learned_variance=False).losses(net, b, T)
    torch.testing.assert_close(losses, torch.full((4,), 0.25))
    x_t = SCHEDULE.add_noise(b.x0, b.noise, T)
    torch.testing.assert_close(seen[0], scaled.network_input(x_t))


def test_with_a_residual_scale_too_the_bound_never_teaches_the_mean():
    out = output()
    gradients = []
    for learned in (True, False):
        net = Output(out if learned else out[:, :1].clone())
        options = {"preconditioning": PRECONDITIONING, "learned_variance": learned}
        objective(**options, **({"vlb_weight": 1.0} if learned else {})).losses(
            net, conditioned(batch()), T
        ).sum().backward()
        gradients.append(net.output.grad[:, :1])
    torch.testing.assert_close(*gradients)


def test_a_residual_scale_needs_v_prediction():
    with pytest.raises(ValueError, match="v_prediction"):
        objective(prediction_type="epsilon", preconditioning=PRECONDITIONING)


def test_images_told_everywhere_are_noised_to_their_own_level_at_most():
    b = conditioned(batch())
    everywhere = torch.full_like(b.x0[:1], 8)
    factor_map = torch.cat([everywhere, b.conditioning.factor_map[1:]])
    b = replace(
        b,
        conditioning=Conditioning(b.x0, factor_map),
        quantiles=torch.full((4,), 1 - 1e-9, dtype=torch.float64),
    )
    quantiles = conditioned_quantiles(b, 0.0, SCHEDULE)
    last = (quantiles * SCHEDULE.num_train_timesteps).long().clamp(max=99)
    assert float(SCHEDULE.log_snr(last[0])) == pytest.approx(0.0, abs=0.2)
    assert last[1:].tolist() == [99] * 3
    assert torch.equal(conditioned_quantiles(b, None, SCHEDULE), b.quantiles)


def test_the_hybrid_loss_is_least_at_the_best_variance():
    """Of a constant error d that is beta~ + (c d)^2, c the mean's share of x0."""
    index, error = 40, 0.7
    b, hybrid = batch(), objective(prediction_type="sample", vlb_weight=1.0)
    chain = vlb.Chain.of(SCHEDULE)
    small, large = chain.log_beta_tilde[index], chain.log_beta[index]
    best = torch.log(small.exp() + (chain.x0_coefficient[index] * error) ** 2)
    weight = float((best - small) / (large - small))

    def slope(weight):
        fraction = nn.Parameter(torch.full((4, 1, 8, 8), 2 * weight - 1))

        def network(x_t, timesteps, **options):
            return torch.cat([b.x0 + error, fraction], dim=1)

        hybrid.losses(network, b, torch.full((4,), index)).sum().backward()
        return float(fraction.grad.sum())

    assert slope(weight - 0.1) < 0 < slope(weight + 0.1)
    assert abs(slope(weight)) < 1e-3 * slope(weight + 0.1)


def test_a_weight_without_a_learned_variance_is_refused():
    with pytest.raises(ValueError, match=r"set network\.learned_variance"):
        objective(learned_variance=False, vlb_weight=0.01)


def test_an_unknown_prediction_type_is_refused():
    with pytest.raises(ValueError, match="epsilon, v_prediction, sample"):
        objective(prediction_type="v")
