"""The judges: what they see, and their losses in closed form."""

import math

import numpy as np
import pytest
import torch
from refinement_made_up import PRESET, noise
from torch import nn

from medsynth.training.refinement.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    to_physical,
)


def test_physical_units_are_those_of_the_preset():
    unit = torch.linspace(-1, 1, 4001)
    values = to_physical(unit, PRESET.intensity).numpy()
    assert np.abs(values - PRESET.intensity.from_unit(unit.numpy())).max() < 1e-3 * 3
    unit.requires_grad_(True)
    (slope,) = torch.autograd.grad(to_physical(unit, PRESET.intensity).sum(), unit)
    assert slope[2000] == pytest.approx(500 / 0.9)  # -200 to 300 HU over 0.9


@pytest.fixture
def discriminators():
    torch.manual_seed(0)
    return Discriminators(PRESET.windows, PRESET.intensity)


def test_discriminators_see_their_window_and_its_finest_detail(discriminators):
    flat = torch.full((1, 1, 16, 16), 0.0)  # 50 HU
    views = discriminators.views(flat, torch.full_like(flat, 0.5))
    shown = [(50 - w.limits[0]) / w.width for w in PRESET.windows]
    expected = 2 * (torch.tensor(shown) - 0.5)
    assert torch.allclose(views[0, :, 0, 8, 8], expected, atol=1e-5)
    assert views[:, :, 1].abs().max() < 1e-4
    step = flat.clone()
    step[..., 8:] = 0.01  # 5.6 HU: nothing in the bone window, much in soft tissue
    detail = discriminators.views(step, torch.full_like(flat, 0.5))[0, :, 1].abs().amax(dim=(1, 2))
    assert detail[1] > 4 * detail[2] > 0


def test_rounding_to_whole_units_is_covered_up(discriminators):
    exact = torch.full((1, 1, 16, 16), 0.0)
    span = discriminators.views(exact, noise(1, 1, 16, 16).sigmoid())[0, 1, 0]
    assert 0 < float(span.max() - span.min()) <= 2 * 1.0 / PRESET.windows[1].width + 1e-6


class Linear(nn.Module):
    """A judge whose score is the mean of what it sees, `gain` times."""

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, views):
        return self.gain * views.flatten(2).mean(dim=2)


def test_losses_have_their_closed_form():
    real, made = torch.full((3, 2, 2, 8, 8), 0.5), torch.full((3, 2, 2, 8, 8), -0.5)
    discriminator = Linear(2.0)
    margin = 2.0  # of the real over the made, in each of two windows
    pixels = 2 * 8 * 8
    slopes = 2 * 2 * pixels * (2.0 / pixels) ** 2  # two sides, two windows
    expected = 2 * math.log1p(math.exp(-margin)) + 0.1 / 2 * slopes
    assert float(
        discriminator_loss(discriminator, real, made, penalty=0.1).detach()
    ) == pytest.approx(expected, rel=1e-5)
    expected = 2 * math.log1p(math.exp(margin))
    assert float(adversarial_loss(discriminator, real, made).detach()) == pytest.approx(
        expected, rel=1e-5
    )


def test_the_refiner_is_taught_through_the_made_side_only():
    discriminator = Linear(2.0)
    real, made = (torch.zeros(1, 1, 2, 4, 4, requires_grad=True) for _ in range(2))
    adversarial_loss(discriminator, real, made).backward()
    assert real.grad is None
    assert made.grad.abs().sum() > 0
