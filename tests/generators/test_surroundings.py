"""Around a body, a result has the reference's air and table, with noise of its own."""

import numpy as np
import pytest
import torch

from medsynth import domains
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import ReferenceGuidance
from medsynth.diffusion.schedule import log_snr_linear
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.generators.surroundings import weights_around, without_own_noise

PRESET = domains.get("lung_ct")
SIDE, NOISE = 160, 8.0
BODY, LUNG, ARM, TABLE, AIR = (75, 80), (70, 60), (75, 17), np.s_[130:132, 5:155], np.s_[138:, :]


def chest(seed=0):
    """A body with lungs, an arm beside it, a table of two pixels below; noise of 8 HU."""
    row, column = np.indices((SIDE, SIDE))
    plane = np.full((SIDE, SIDE), -1000.0)
    plane[np.hypot((row - BODY[0]) / 40, (column - BODY[1]) / 48) < 1] = 40
    plane[np.hypot((row - LUNG[0]) / 25, (column - LUNG[1]) / 18) < 1] = -860
    plane[np.hypot(row - ARM[0], column - ARM[1]) < 10] = 20
    plane[TABLE] = -300
    noise = np.random.default_rng(seed).normal(size=plane.shape)
    return (plane + NOISE * noise).astype(np.float32)


def white(seed=1):
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE))


def test_body_lungs_and_arms_are_no_surroundings():
    weights = weights_around(chest(), PRESET)
    for inside in (BODY, LUNG, ARM):
        assert weights[inside] == 0
    assert weights[AIR].min() == 1
    assert weights[130, 20:140].min() == 1


def test_a_lung_that_the_frame_cuts_open_is_no_air():
    crop = chest()[45:95, 55:105]  # within the body: lung on the left
    assert not weights_around(crop, PRESET).any()


def test_noise_is_as_strong_and_not_the_same():
    plane = chest()
    weights = weights_around(plane, PRESET)
    made = without_own_noise(plane, weights, white(), PRESET)
    before, after = plane[AIR] + 1000, made[AIR] + 1000
    assert after.std() == pytest.approx(NOISE, rel=0.15)
    assert abs(np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.35
    assert made[130:132, 30:130].mean() == pytest.approx(-300, abs=5)
    other = without_own_noise(plane, weights, white(2), PRESET)
    assert abs(np.corrcoef(other[AIR].ravel() + 1000, after.ravel())[0, 1]) < 0.35


def sampled(surroundings, composition="nested"):
    """A chest drawn by a network that knows nothing of fine detail, and its errors."""
    generator = GuidedDiffusion(
        Denoiser(lambda x, t: torch.zeros_like(x), log_snr_linear(), prediction_type="sample"),
        PRESET,
        "dpmpp_2m",
        3,
        guidance=ReferenceGuidance(composition=composition),
        surroundings=surroundings,
    )
    noise = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    made = generator.follow(chest(), factor=8, noise=noise, index=0, seed=0)
    return made.images[0], made.errors[0]


def test_air_does_not_ring_and_the_body_stays_exact():
    rung, _ = sampled("network")
    clear, errors = sampled("reference")
    quiet = np.s_[134:146, 60:100]  # below the table
    assert rung[quiet].std() > 5 * NOISE
    assert clear[quiet].std() < min(20, rung[quiet].std() / 2)
    assert clear[130:132, 30:130].mean() == pytest.approx(-300, abs=25)
    assert errors["anatomy"] < 1e-5
    assert errors["surroundings"] < 0.06


def test_the_sum_as_printed_has_no_surroundings():
    assert "surroundings" not in sampled("reference", "sum")[1]
