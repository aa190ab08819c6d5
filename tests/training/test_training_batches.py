"""Training batches: a function of (seed, step), with the hints that guidance will give."""

import math

import numpy as np
import pytest
import torch

from medsynth import domains as presets
from medsynth.datasets.data import Slices
from medsynth.diffusion.guidance import low_pass
from medsynth.training import batches
from medsynth.training.batches import (
    ResidentSlices,
    augment,
    draw_batch,
    draw_quantiles,
    draw_reference,
)
from medsynth.training.recipe import Augment, Phase, Recipe, ReferenceOptions

PRESET = presets.get("lung_ct")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def slices():
    images = np.random.default_rng(0).integers(-1000, 1000, (5, 64, 64)).astype(np.int16)
    return Slices(images, tuple("abcde"), tuple("abcde"))


def recipe(**changes):
    network = {"patch_size": 4, "reference_conditioned": True}
    values = {"preset": "lung_ct", "phases": (Phase(9, 3, crop=32),), "network": network}
    return Recipe(**(values | changes))


def batch(slices, step, **changes):
    return draw_batch(slices, recipe=recipe(**changes), preset=PRESET, step=step)


def test_a_step_always_draws_the_same_batch_and_another_step_another(slices):
    one, again, other = batch(slices, 4), batch(slices, 4), batch(slices, 5)
    assert torch.equal(one.x0, again.x0)
    assert torch.equal(one.noise, again.noise)
    assert torch.equal(one.conditioning.low_pass_image, again.conditioning.low_pass_image)
    assert not torch.equal(one.x0, other.x0)
    assert not torch.equal(one.noise, batch(slices, 4, seed=1).noise)


def test_crops_are_cut_from_the_image_at_the_corner_they_name(slices):
    still = Augment(flip=0, shift_pixels=0, affine=0)
    drawn = batch(slices, 0, augment=still)
    images = torch.from_numpy(PRESET.intensity.to_unit(slices.images))
    for x0, (row, column) in zip(drawn.x0, drawn.origin.tolist(), strict=True):
        windows = images[:, row : row + 32, column : column + 32]
        assert any(torch.equal(x0[0], window) for window in windows)
        assert row % 4 == column % 4 == 0


def test_every_stratum_of_the_noise_levels_is_drawn_once():
    quantiles = draw_quantiles(10, generator())
    assert sorted((quantiles * 10).long().tolist()) == list(range(10))


def test_the_shares_of_several_processes_are_the_whole_batch(slices):
    """Also where the processes' shares differ in size."""
    many = recipe(phases=(Phase(9, 5, crop=32),))
    parts = [
        draw_batch(slices, recipe=many, preset=PRESET, step=2, share=share)
        for share in (slice(0, 2), slice(2, 5))
    ]
    whole = draw_batch(slices, recipe=many, preset=PRESET, step=2)
    for name in ("x0", "noise", "quantiles", "origin"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name)), name
    joined = torch.cat([part.conditioning.low_pass_image for part in parts])
    assert torch.equal(joined, whole.conditioning.low_pass_image)


def test_every_sample_has_random_numbers_of_its_own(slices, monkeypatch):
    """Apart from each other's and from those of the batch's noise levels, in every step."""
    seeds, made = [], batches._generator

    def noted(*entropy):
        generator = made(*entropy)
        seeds.append(generator.initial_seed())
        return generator

    monkeypatch.setattr(batches, "_generator", noted)
    noises = [batch(slices, step).noise for step in range(3)]
    assert len(set(seeds)) == len(seeds) == 3 * (1 + 3)
    correlation = torch.corrcoef(torch.cat(noises).flatten(1)) - torch.eye(9)
    assert correlation.abs().max() < 0.2


def test_images_may_lie_on_the_device_as_a_tensor(slices):
    """As `data_on_device` puts them there; the batch is the same."""
    resident = ResidentSlices(torch.from_numpy(slices.images), noise_level=None)
    one, other = batch(slices, 1), batch(resident, 1)
    assert torch.equal(one.x0, other.x0)
    assert torch.equal(one.noise, other.noise)


def test_the_conditioning_is_the_low_pass_image_that_guidance_applies():
    image = torch.randn(1, 64, 64, generator=generator())
    options = ReferenceOptions(factors=(8,), weights=(1.0,), region=0.0)
    low_pass_image, factor_map = draw_reference(image, options, generator())
    phi = low_pass.build("dct", size=(64, 64), factor=8)
    assert torch.equal(low_pass_image, phi(image))
    assert (factor_map == 8).all()


def test_a_region_has_its_own_factor_and_low_pass_image():
    image = torch.randn(1, 64, 64, generator=generator())
    options = ReferenceOptions(factors=(16,), weights=(1.0,), region=1.0, region_factors=(2,))
    low_pass_image, factor_map = draw_reference(image, options, generator(3))
    coarse, fine = (low_pass.build("dct", size=(64, 64), factor=n)(image) for n in (16, 2))
    assert set(factor_map.unique().tolist()) == {2.0, 16.0}
    inside = factor_map == 2
    assert (low_pass_image - fine)[inside].abs().mean() < (low_pass_image - coarse)[
        inside
    ].abs().mean()
    assert (low_pass_image - coarse)[~inside].abs().mean() < (low_pass_image - fine)[
        ~inside
    ].abs().mean()


def test_without_a_reference_nothing_is_told():
    image = torch.randn(1, 64, 64, generator=generator())
    options = ReferenceOptions(factors=(0,), weights=(1.0,), region=0.0)
    low_pass_image, factor_map = draw_reference(image, options, generator())
    assert not low_pass_image.any()
    assert not factor_map.any()


def test_shifting_moves_whole_pixels_and_brings_in_air():
    image = torch.rand(1, 64, 64, generator=generator())
    options = Augment(flip=0, shift_pixels=9, affine=0)
    moved = augment(image, options, generator(2))
    assert moved.shape == image.shape
    kept = moved[moved > -1]
    assert set(kept.tolist()) <= set(image.flatten().tolist())
    assert (moved == -1).any()


def test_flipping_mirrors_left_and_right():
    image = torch.rand(1, 64, 64, generator=generator())
    flipped = augment(image, Augment(flip=1, shift_pixels=0, affine=0), generator())
    assert torch.equal(flipped, image.flip(-1))


def test_stretching_makes_an_ellipse_of_a_disc_and_draws_nothing_without_it():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = torch.where((rows - 31.5) ** 2 + (columns - 31.5) ** 2 < 20**2, 0.5, -1.0)[None]
    plain = {"flip": 0.0, "shift_pixels": 0, "affine": 1.0, "rotate_deg": 0.0, "scale": 0.0}
    shapes = set()
    for seed in range(8):
        options = Augment(**plain, stretch=0.3)
        image = augment(disc, options, generator(seed))[0] > 0
        high, wide = image.any(dim=1).sum().item(), image.any(dim=0).sum().item()
        assert math.sqrt(high * wide) == pytest.approx(40, abs=2)
        assert 0.45 < high / wide < 1 / 0.45  # 0.7 squared, and rounding
        shapes.add(high > wide)
    assert shapes == {True, False}
    one, other = generator(), generator()
    augment(disc, Augment(**plain), one)
    for _ in range(6):  # flip, two shifts, chance, angle, scale
        torch.rand(1, generator=other)
    assert torch.equal(torch.rand(1, generator=one), torch.rand(1, generator=other))
