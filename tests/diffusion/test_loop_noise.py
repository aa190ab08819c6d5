"""The loop's noise of a volume: standard normal, correlated along z by distance, one seed one noise."""

import math

import pytest
import torch

from medsynth.diffusion.noise import CorrelatedNoise

SHAPE = (1, 64, 64)
LIKE = torch.empty(1, 1, 1, 1)


def draws(seed, slices, *, count=2, **options):
    noise = CorrelatedNoise(seed, like=LIKE, **({"step_mm": 3.0} | options))
    found = []
    for k in slices:
        draw = noise.at(k)
        found.append([draw(SHAPE) for _ in range(count)])
    return found


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_every_draw_is_standard_normal():
    for slice_draws in draws(0, range(4)):
        for value in slice_draws:
            assert float(value.mean()) == pytest.approx(0, abs=0.06)
            assert float(value.std()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(("gap", "step_mm"), [(1, 3.0), (2, 3.0), (1, 1.0)])
def test_slices_correlate_by_their_distance(gap, step_mm):
    found = draws(0, range(gap + 1), step_mm=step_mm, length_mm=5.0)
    expected = math.exp(-gap * step_mm / 5)
    assert correlation(found[0][0], found[gap][0]) == pytest.approx(expected, abs=0.06)


def test_steps_of_one_slice_do_not_correlate():
    ((first, second),) = draws(0, [0])
    assert correlation(first, second) == pytest.approx(0, abs=0.06)


def test_one_seed_repeats_and_another_differs():
    assert torch.equal(draws(3, range(3))[2][1], draws(3, range(3))[2][1])
    assert not torch.equal(draws(3, range(3))[2][1], draws(4, range(3))[2][1])


def test_a_draw_of_another_shape_starts_afresh():
    noise = CorrelatedNoise(0, step_mm=1.0, like=LIKE)
    noise.at(0)((1, 8, 8))
    assert noise.at(1)((1, 4, 4)).shape == (1, 1, 4, 4)


def test_slices_of_a_batch_get_what_they_get_one_by_one():
    alone = draws(0, range(5))
    noise, found = CorrelatedNoise(0, step_mm=3.0, like=LIKE), []
    for batch in ([0, 1, 2], [3, 4]):
        draw = noise.of_batch(batch)
        steps = [draw(SHAPE) for _ in range(2)]
        found += [[step[[b]] for step in steps] for b in range(len(batch))]
    for one, other in zip(alone, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_infinite_length_is_the_same_noise_everywhere():
    found = draws(0, range(2), length_mm=math.inf)
    assert torch.equal(found[0][0], found[1][0])
