"""Unguided images: a drawn low-pass image, and the conditioned network behind it."""

import numpy as np
import pytest
import torch
from made_up_network import TINY

from medsynth import domains as presets
from medsynth.datasets.data import Slices
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.reduced import enlarged, reduced, reduced_size
from medsynth.diffusion.sampling import generators
from medsynth.errors import CheckpointError
from medsynth.generators.cascade import LowPassNetwork, load_low_pass_network, sample_unguided
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import PatchUNet, PatchUNetConfig, read_metadata, save_weights
from medsynth.networks.domain_weights import check_metadata
from medsynth.training.batches import draw_batch
from medsynth.training.monitor import Monitor
from medsynth.training.recipe import Augment, Phase, Recipe
from medsynth.training.trainer import Trainer

PRESET = presets.get("lung_ct")
LEVELS = schedule.log_snr_linear()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 64), (50, 36)])
def test_reducing_and_enlarging_are_the_low_pass(size):
    x = noise(2, 1, *size)
    small = reduced(x, 8)
    assert tuple(small.shape[-2:]) == reduced_size(size, 8)
    phi = low_pass.build("dct", size=size, factor=8)
    assert torch.allclose(enlarged(small, 8, size=size), phi(x), atol=1e-5)


def test_values_keep_their_units():
    assert torch.allclose(reduced(torch.full((1, 1, 50, 36), 0.7), 8), torch.tensor(0.7))
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    assert torch.allclose(reduced(ramp, 8)[0, 0, 0], ramp[0, 0, 0, 4::8], atol=0.05)


class Constant(torch.nn.Module):
    """Predicts that every image is `value`, and remembers the sizes it saw."""

    def __init__(self, value):
        super().__init__()
        self.value, self.seen, self.conditionings = value, [], []

    def forward(self, x, timesteps, *, conditioning=None):
        self.seen.append(tuple(x.shape[-2:]))
        self.conditionings.append(conditioning)
        return torch.full_like(x, self.value)


def denoiser(value, **options):
    return Denoiser(Constant(value), LEVELS, prediction_type="sample", **options)


def unguided(large, low_pass_image, size=(64, 64)):
    return sample_unguided(
        GuidedDiffusion(large, PRESET, "dpmpp_2m", 3),
        noise(1, 1, *size),
        generators=generators(0, [0]),
        low_pass_network=low_pass_image,
    ).x0


@pytest.mark.parametrize("size", [(64, 64), (50, 36)])
def test_the_low_pass_image_is_drawn_small_and_told_to_the_large_network(size):
    small = denoiser(0.25)
    large = denoiser(-0.5, reference_conditioned=True)
    x0 = unguided(large, LowPassNetwork(small, 8), size)
    assert set(small.network.seen) == {reduced_size(size, 8)}
    assert len(small.network.seen) == 3
    assert set(large.network.seen) == {size}
    assert len(large.network.seen) == 3
    for conditioning in large.network.conditionings:
        assert torch.allclose(conditioning.low_pass_image, torch.tensor(0.25), atol=1e-5)
        assert (conditioning.factor_map == 8).all()
    phi = low_pass.build("dct", size=size, factor=8)
    assert torch.allclose(phi(x0), torch.tensor(0.25), atol=1e-4)


def test_the_reference_is_what_the_small_network_drew_with_the_projector_of_both():
    """Of a drawn image that is not flat, each sample follows its own."""
    torch.manual_seed(0)
    network = PatchUNet(PatchUNetConfig((8, 8), 1, (32, 32), (False, False), 1, 32))
    low_pass_image = LowPassNetwork(Denoiser(network.requires_grad_(False), LEVELS), 8)
    large = GuidedDiffusion(denoiser(-0.5, reference_conditioned=True), PRESET, "dpmpp_2m", 3)
    x0 = sample_unguided(
        large,
        noise(2, 1, 64, 64),
        generators=generators(0, [0, 1]),
        low_pass_network=low_pass_image,
    ).x0
    drawn = low_pass_image.draw(large, size=(64, 64), generators=generators(0, [0, 1]))
    phi = low_pass.build("dct", size=(64, 64), factor=8)
    assert drawn.std() > 0.1
    assert torch.allclose(phi(x0), drawn, atol=1e-4)


def test_without_a_low_pass_image_network_nobody_is_told_anything():
    large = denoiser(-0.5, reference_conditioned=True)
    assert torch.allclose(unguided(large, None), torch.tensor(-0.5), atol=1e-4)
    assert large.network.conditionings == [None] * 3


def test_every_sample_has_a_low_pass_image_of_its_own_seed():
    torch.manual_seed(0)
    config = PatchUNetConfig((8, 8), 1, (32, 32), (False, False), 1, 32)
    network = PatchUNet(config).requires_grad_(False)
    low_pass_image = LowPassNetwork(Denoiser(network, LEVELS), 8)
    large = GuidedDiffusion(denoiser(-0.5), PRESET, "dpmpp_2m_sde", 2)
    both = low_pass_image.draw(large, size=(64, 64), generators=generators(0, [0, 1]))
    again = low_pass_image.draw(large, size=(64, 64), generators=generators(0, [1]))
    assert torch.allclose(both[1:], again, atol=1e-5)
    assert (both[0] - both[1]).abs().max() > 0.01


def test_a_network_that_cannot_be_told_takes_no_low_pass_image():
    with pytest.raises(ValueError, match="reference-conditioned"):
        unguided(denoiser(0.0), LowPassNetwork(denoiser(0.0), 8))


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    images = rng.integers(-900, 100, (4, 64, 64)).astype(np.int16)
    return Slices(images, ("a", "a", "b", "b"), ("a/1", "a/1", "b/1", "b/1"))


def recipe(**changes):
    network = TINY | {"image_size": [16, 16], "patch_size": 1}
    values = {
        "preset": "lung_ct",
        "phases": (Phase(steps=2, batch_size=3),),
        "network": network,
        "low_pass_factor": 4,
        "augment": Augment(flip=0, shift_pixels=0, affine=0),
        "workers": 0,
    }
    return Recipe(**(values | changes))


def test_such_a_network_is_trained_on_reduced_images(slices):
    batch = draw_batch(slices, recipe=recipe(), preset=PRESET, step=0)
    expected = reduced(torch.from_numpy(PRESET.intensity.to_unit(slices.images))[:, None], 4)
    assert batch.x0.shape == (3, 1, 16, 16)
    assert batch.conditioning is None
    for x0 in batch.x0:
        assert min((x0 - e).abs().max() for e in expected) < 1e-5


def test_images_are_changed_at_their_full_size_and_reduced_then(slices):
    """A shift of whole pixels is a quarter of one of theirs."""
    shift = Augment(flip=0, shift_pixels=3, affine=0)
    batch = draw_batch(slices, recipe=recipe(augment=shift), preset=PRESET, step=0)
    units = torch.from_numpy(PRESET.intensity.to_unit(slices.images))[:, None]
    padded = torch.nn.functional.pad(units, (3,) * 4, value=-1.0)
    moved = [padded[:, :, r : r + 64, c : c + 64] for r in range(7) for c in range(7)]
    expected = torch.cat([reduced(m, 4) for m in moved])
    for x0 in batch.x0:
        assert min((x0 - e).abs().max() for e in expected) < 1e-5


@pytest.mark.slow
def test_the_frame_is_the_grid_of_the_low_pass_image_and_stays(slices, tmp_path):
    network = recipe().network | {"image_size": [32, 32]}
    with pytest.raises(ValueError, match=r"image_size is \[32, 32\]; set it to \[16, 16\]"):
        Trainer(recipe(network=network), slices, run=tmp_path / "run")
    Trainer(recipe(), slices, run=tmp_path / "run").train()
    larger = np.pad(slices.images, ((0, 0), (32, 32), (32, 32)))
    other = Slices(larger, slices.patients, slices.series)
    with pytest.raises(CheckpointError, match="another low_pass_factor"):
        Trainer(recipe(low_pass_factor=8), other, run=tmp_path / "run")


@pytest.mark.slow
def test_its_file_says_so_and_is_taken_for_nothing_else(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path / "run")
    trainer.train()
    assert load_low_pass_network(trainer.weights, preset="lung_ct").factor == 4
    with pytest.raises(CheckpointError, match="draws low-pass images for preset lung_ct"):
        load_low_pass_network(trainer.weights, preset="brain_mri")
    with pytest.raises(CheckpointError, match="the low-pass images of unguided images"):
        check_metadata(trainer.weights, PRESET)
    whole = tmp_path / "whole.safetensors"
    metadata = read_metadata(trainer.weights) | {"low_pass_factor": None}
    save_weights(trainer.ema, whole, metadata=metadata)
    with pytest.raises(CheckpointError, match="draws whole images"):
        load_low_pass_network(whole, preset="lung_ct")


@pytest.mark.slow
def test_its_sheets_show_low_pass_images(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path / "run")
    monitor = Monitor(trainer, held_out=slices)
    assert monitor.references.shape[1:] == (16, 16)
    monitor.sample()
    assert list((tmp_path / "run/samples").glob("*.png"))


def test_recipes_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        recipe(low_pass_factor=1)
    with pytest.raises(ValueError, match="reference_conditioned"):
        recipe(network=recipe().network | {"reference_conditioned": True})
