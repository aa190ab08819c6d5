"""The filters phi_n: projectors, sizes that do not divide, and what is refused."""

import math

import pytest
import torch

from medsynth.diffusion.guidance import low_pass

CASES = [((24, 24), 4), ((25, 18), 4), ((25, 18), 7), ((16, 16), 16), ((9, 30), 1)]


def white(*shape, seed=0):
    fresh = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=fresh)


def as_matrix(phi):
    n = math.prod(phi.size)
    return phi(torch.eye(n, dtype=torch.float64).reshape(n, 1, *phi.size)).reshape(n, n)


@pytest.mark.parametrize(("size", "factor"), CASES)
@pytest.mark.parametrize("kind", ["dct", "block"])
def test_dct_and_block_are_orthogonal_projectors(kind, size, factor):
    phi = as_matrix(low_pass.build(kind, size=size, factor=factor))
    torch.testing.assert_close(phi @ phi, phi)
    torch.testing.assert_close(phi.T, phi)
    rank = math.ceil(size[0] / factor) * math.ceil(size[1] / factor)
    assert float(phi.trace()) == pytest.approx(rank)


def test_dct_keeps_the_lowest_cosines_and_nothing_else():
    phi = low_pass.build("dct", size=(20, 30), factor=5)  # modes 0-3 by 0-5 pass
    rows, columns = torch.arange(20) + 0.5, torch.arange(30) + 0.5

    def wave(m, k):
        along = torch.cos(math.pi / 20 * m * rows)[:, None], torch.cos(math.pi / 30 * k * columns)
        return (along[0] * along[1]).double()[None, None]

    for passing in ((0, 0), (3, 5), (3, 0)):
        torch.testing.assert_close(phi(wave(*passing)), wave(*passing), rtol=0, atol=1e-6)
    for stopped in ((4, 0), (0, 6), (3, 6), (19, 29)):
        assert float(phi(wave(*stopped)).abs().max()) < 1e-6


def test_block_is_the_mean_of_each_block_also_of_the_last_short_one():
    x = white(2, 1, 10, 7)
    filtered = low_pass.build("block", size=(10, 7), factor=4)(x)
    for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
        for columns in (slice(0, 4), slice(4, 7)):
            means = x[..., rows, columns].mean(dim=(-2, -1), keepdim=True)
            block = filtered[..., rows, columns]
            torch.testing.assert_close(block, means.expand_as(block))


@pytest.mark.parametrize(("size", "factor"), CASES)
def test_bicubic_keeps_constants_and_is_not_a_projector(size, factor):
    phi = low_pass.build("bicubic", size=size, factor=factor)
    torch.testing.assert_close(phi(torch.full((1, 1, *size), 0.3)), torch.full((1, 1, *size), 0.3))
    x = white(50, 1, *size)
    twice = (phi(phi(x)) - phi(x)).norm() / phi(x).norm()
    assert phi.projector == (factor == 1)
    if 1 < factor < min(size):
        assert 0.15 < float(twice) < 0.30


def test_bicubic_reproduces_straight_lines_and_dips_the_noise():
    phi = low_pass.build("bicubic", size=(48, 48), factor=4)
    ramp = torch.linspace(0, 1, 48, dtype=torch.float64).expand(1, 1, 48, 48)
    inside = slice(12, 36)
    torch.testing.assert_close(phi(ramp)[..., inside], ramp[..., inside], rtol=0, atol=1e-3)
    # replacing phi(noise) by another phi(noise): (1 - e)^2 + e^2 for each eigenvalue e, lowest 0.5
    gains = torch.linalg.eigvalsh(as_matrix(low_pass.build("bicubic", size=(24, 24), factor=4)))
    kept = (1 - gains) ** 2 + gains**2
    assert float(kept.min()) == pytest.approx(0.5, abs=0.01)
    assert float(gains.max()) < 1 + 1e-9


@pytest.mark.parametrize("kind", ["dct", "block", "bicubic"])
def test_small_noise_is_filtered_white_noise(kind):
    """`white_noise` has the covariance of `down` of white noise, drawn on the small grid."""
    phi = low_pass.build(kind, size=(10, 11), factor=4)
    n = 110
    down = phi.down(torch.eye(n, dtype=torch.float64).reshape(n, 1, 10, 11)).flatten(1)
    asked = []

    def basis(shape):
        asked.append(shape)
        count = math.prod(shape)
        return torch.eye(count, dtype=torch.float64).reshape(count, *shape)

    ours = phi.white_noise(basis).flatten(1)
    torch.testing.assert_close(ours.T @ ours, down.T @ down)
    assert asked == [(1, 10, 11) if kind == "bicubic" else (1, 3, 3)]


@pytest.mark.parametrize("kind", ["dct", "block", "bicubic"])
def test_part_of_the_image_is_cut_from_the_whole(kind):
    phi = low_pass.build(kind, size=(20, 30), factor=3)
    small = phi.down(white(2, 1, 20, 30))
    part = phi.up(small, rows=slice(3, 9), columns=slice(10, 30))
    torch.testing.assert_close(part, phi.up(small)[..., 3:9, 10:30])


@pytest.mark.parametrize("factor", [0, -3, 2.5, "8", True, None, 19])
def test_factors_that_make_no_sense_are_refused(factor):
    with pytest.raises(ValueError, match="integer from 1 .* to 18"):
        low_pass.build("dct", size=(25, 18), factor=factor)


def test_unknown_filters_are_refused():
    with pytest.raises(ValueError, match="dct, block, bicubic"):
        low_pass.build("gaussian", size=(25, 18), factor=2)
