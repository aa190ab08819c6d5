"""How grainy an image is, and that a network that listens is told so."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_network import SMALL, card

from medsynth import domains as presets
from medsynth.datasets.data import Slices, with_noise_level
from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.conditioning import Conditioning
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.noise_level import SIGMAS, NoiseLevelScale, image_noise_levels
from medsynth.diffusion.sampling import sample
from medsynth.errors import CheckpointError
from medsynth.networks import PatchUNet, PatchUNetConfig, load_denoiser, load_network, save_weights
from medsynth.training.batches import draw_batch
from medsynth.training.recipe import Augment, Phase, Recipe
from medsynth.training.trainer import Limits, Trainer
from medsynth.training.warm_start import warm_start

SCALE = NoiseLevelScale((-4.0, -3.5), (0.5, 0.25))
PRESET = presets.get("lung_ct")
NETWORK = replace(SMALL, noise_level=True)


def grain(std, size=128, seed=0):
    return std * torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed))


def kept_share(sigma):
    """Variance that x - G_sigma x leaves of white noise: sum of (delta - g g)^2, in closed form."""
    reach = math.ceil(3 * sigma)
    g = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    g /= g.sum()
    kernel = -np.outer(g, g)
    kernel[reach, reach] += 1
    return (kernel**2).sum()


def test_levels_of_white_noise_have_their_closed_form():
    levels = image_noise_levels(grain(0.02, size=256))[0]
    for level, sigma in zip(levels, SIGMAS, strict=True):
        assert float(level) == pytest.approx(0.02 * math.sqrt(kept_share(sigma)), rel=0.03)


def test_levels_do_not_count_edges_air_or_bone():
    image = grain(0.02, size=256)
    alone = image_noise_levels(image)
    image[..., :60] = -1.0
    image[..., 200:] = 0.9 + grain(0.1, size=256)[..., 200:]
    image[..., 100:110] += 0.4
    assert torch.allclose(image_noise_levels(image), alone, rtol=0.1)


def test_images_with_nothing_to_measure_in_are_unknown():
    assert image_noise_levels(torch.full((2, 1, 64, 64), -1.0)).isnan().all()
    lung = -0.7 + grain(0.02)  # no soft tissue, but not air
    assert not image_noise_levels(lung).isnan().any()


def test_levels_are_told_standardized_and_within_what_was_trained():
    levels = torch.tensor(
        [
            [math.exp(-4.0), math.exp(-3.5)],
            [math.exp(-3.5), math.exp(-3.25)],
            [math.exp(-1.0), math.exp(-3.5)],
            [math.exp(-9.0), math.exp(-3.5)],  # a phantom without grain
            [math.nan, math.exp(-3.5)],
        ]
    )
    conditioned = SCALE.standard(levels)
    expected = [[0, 0], [1, 1], [2, 0], [0, 0], [0, 0]]
    assert torch.allclose(conditioned, torch.tensor(expected, dtype=torch.float32), atol=1e-4)
    with pytest.raises(ValueError, match="above 0"):
        NoiseLevelScale((0.0, 0.0), (1.0, 0.0))
    for wrong in ((0.0,), 0.0, "ab", (0.0, math.nan), (True, 0.0)):
        with pytest.raises(ValueError, match="two numbers in log_mean"):
            NoiseLevelScale(wrong, (1.0, 1.0))


def test_an_image_as_smooth_as_a_phantom_has_no_noise_level_of_its_own():
    typical, phantom = math.exp(-4.0), math.exp(-4.0 - 0.5 * 4.1)
    coarse = math.exp(-3.5)
    conditioned = SCALE.standard(torch.tensor([[phantom, coarse + 1], [typical, coarse + 1]]))
    assert conditioned[0].tolist() == [0.0, 0.0]
    assert conditioned[1, 1] == 2.0


class Ear(torch.nn.Module):
    """Remembers what it is told."""

    def forward(self, x, timesteps, *, conditioning=None):
        self.conditioning = conditioning
        return torch.zeros_like(x)


def conditioned(conditions):
    network = Ear()
    denoiser = Denoiser(
        network, schedule.log_snr_linear(), reference_conditioned=True, noise_level=SCALE
    )
    options = {"steps": 1, "noise": grain(1.0), "conditions": conditions}
    sample(denoiser, samplers.build("dpmpp_2m"), **options)
    return network.conditioning.noise_level


def test_sampling_tells_the_noise_level_of_the_anatomy_not_of_a_lesion():
    anatomy, lesion = grain(0.04), grain(0.3, seed=1)
    weights = torch.zeros_like(anatomy)
    weights[..., 40:80, 40:80] = 1
    whole = LowFrequency("anatomy", anatomy, 8)
    part = LowFrequency("lesion", lesion, 4, weights=weights)
    expected = SCALE.standard(image_noise_levels(anatomy))
    assert expected.abs().min() > 0.1
    for references in ([whole], [part, whole]):
        assert torch.equal(conditioned([LowFrequencyGuidance(references)]), expected)
    assert conditioned([LowFrequencyGuidance([part])]) is None


def test_the_noise_level_is_told_to_the_end_also_where_the_anatomy_stops():
    anatomy = grain(0.04)
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", anatomy, 8, stop_sigma=0.1)])
    planned = samplers.build("dpmpp_2m").plan(schedule.log_snr_linear(), 8)
    for move in (planned[0], planned[-1]):
        low_pass_image, factor_map, noise_level = guidance.conditioning(move)
        assert bool((factor_map == 8).all()) == (move is planned[0])
        assert bool((low_pass_image != 0).any()) == (move is planned[0])
        assert torch.equal(noise_level, image_noise_levels(anatomy))
        assert guidance.conditioning(move) is guidance.conditioning(move)
    lesion = LowFrequency("lesion", anatomy, 8, weights=grain(1.0).sigmoid(), stop_sigma=0.1)
    assert LowFrequencyGuidance([lesion]).conditioning(planned[-1]) is None


def test_a_network_that_does_not_listen_is_not_told():
    conditioning = Denoiser(Ear(), schedule.log_snr_linear(), reference_conditioned=True)
    assert (
        conditioning.with_conditioning(
            grain(1.0), grain(1.0), torch.ones(1, 2)
        ).conditioning.noise_level
        is None
    )


def noisy(network, noise_level):
    x = grain(1.0, size=32)
    conditioning = Conditioning(torch.zeros_like(x), torch.full_like(x, 8.0), noise_level)
    return network(x, torch.tensor([10.0]), conditioning=conditioning)


def loud_network():
    torch.manual_seed(0)
    network = PatchUNet(NETWORK).eval()
    torch.nn.init.normal_(network.unet.out[2].conv.weight)
    return network


def test_the_network_hears_each_level_and_takes_none_for_typical():
    network = loud_network()
    typical = noisy(network, torch.zeros(1, 2))
    assert torch.equal(noisy(network, None), typical)
    one, other = (noisy(network, torch.tensor([v])) for v in ([1.0, 0.0], [0.0, 1.0]))
    assert (one - typical).abs().max() > 1e-3
    assert (one - other).abs().max() > 1e-3
    # sides that are continued keep what was told
    x = grain(1.0, size=33)
    conditioning = Conditioning(torch.zeros_like(x), torch.full_like(x, 8.0), torch.ones(1, 2))
    deaf = Conditioning(conditioning.low_pass_image, conditioning.factor_map)
    t = torch.tensor([10.0])
    assert (
        network(x, t, conditioning=conditioning) - network(x, t, conditioning=deaf)
    ).abs().max() > 1e-3
    with pytest.raises(ValueError, match="reference_conditioned"):
        PatchUNetConfig(noise_level=True)


def metadata(**changes):
    return card(NETWORK, **changes)


def test_the_scale_travels_with_the_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    scale = {"log_mean": [-4.0, -3.5], "log_std": [0.5, 0.25]}
    save_weights(PatchUNet(NETWORK).state_dict(), path, metadata=metadata(noise_level=scale))
    assert load_denoiser(path).noise_level == NoiseLevelScale(**scale)


@pytest.mark.slow
def test_a_file_with_the_scale_or_the_ear_alone_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    deaf = NETWORK.to_dict() | {"noise_level": False}
    scale = {"log_mean": [-4.0, -3.5], "log_std": [0.5, 0.25]}
    for network, said in ((NETWORK.to_dict(), None), (deaf, scale)):
        state = PatchUNet(PatchUNetConfig.from_dict(network)).state_dict()
        save_weights(state, path, metadata=metadata(network=network, noise_level=said))
        with pytest.raises(CheckpointError, match="go together"):
            load_denoiser(path)
    for said in ({"log_mean": [-4.0, -3.5]}, {"log_mean": 1, "log_std": [1, 1]}, [1]):
        state = PatchUNet(NETWORK).state_dict()
        save_weights(state, path, metadata=metadata(noise_level=said))
        with pytest.raises(CheckpointError, match="cannot be built"):
            load_denoiser(path)


def test_a_crop_may_be_placed_from_the_cpu():
    """Corners are numbers of the CPU, whatever the network is on; meta is a device like another."""
    network = PatchUNet(NETWORK).to("meta")
    x = torch.zeros(1, 1, 32, 32, device="meta")
    assert network(x, torch.zeros(1, device="meta"), origin=torch.tensor([[2, 4]])).shape == x.shape


def test_a_network_that_learns_to_listen_begins_as_it_was(tmp_path):
    deaf = PatchUNetConfig.from_dict(NETWORK.to_dict() | {"noise_level": False})
    torch.manual_seed(0)
    old = PatchUNet(deaf)
    torch.nn.init.normal_(old.unet.out[2].conv.weight)
    path = tmp_path / "old.safetensors"
    save_weights(old.state_dict(), path, metadata=metadata(network=deaf.to_dict()))
    network = warm_start(path, NETWORK).eval()
    expected = noisy(load_network(path)[0], None)
    assert torch.allclose(noisy(network, torch.ones(1, 2)), expected, atol=1e-5)


def test_a_network_that_no_longer_listens_takes_everything_for_typical(tmp_path):
    path = tmp_path / "old.safetensors"
    scale = {"log_mean": [-4.0, -3.5], "log_std": [0.5, 0.25]}
    save_weights(loud_network().state_dict(), path, metadata=metadata(noise_level=scale))
    deaf = warm_start(
        path, PatchUNetConfig.from_dict(NETWORK.to_dict() | {"noise_level": False})
    ).eval()
    expected = noisy(load_network(path)[0], torch.zeros(1, 2))
    assert torch.allclose(noisy(deaf, None), expected, atol=1e-5)


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    deviations = np.array([20, 30, 40, 50])[:, None, None]
    images = rng.normal(50, deviations, (4, 64, 64)).round().astype(np.int16)
    return Slices(images, ("a", "a", "b", "b"), ("a/1", "a/1", "b/1", "b/1"))


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "phases": (Phase(steps=2, batch_size=32, crop=32),),
        "network": NETWORK.to_dict() | {"image_size": [64, 64]},
        "noise_level": {"log_mean": [-3.5, -3.0], "log_std": [0.5, 0.5]},
        "workers": 0,
    }
    return Recipe(**(values | changes))


def test_training_tells_each_slice_its_noise_level_or_now_and_then_none(slices):
    scale = NoiseLevelScale(**recipe().noise_level)
    known = with_noise_level(slices, scale, PRESET.intensity)
    batch = draw_batch(known, recipe=recipe(), preset=PRESET, step=0)
    rows = {tuple(row) for row in known.noise_level.tolist()}
    heard = [tuple(row) for row in batch.conditioning.noise_level.tolist()]
    assert set(heard) <= rows | {(0.0, 0.0)}
    units = torch.from_numpy(PRESET.intensity.to_unit(slices.images))[:, None]
    expected = scale.standard(image_noise_levels(units))
    assert torch.allclose(torch.from_numpy(known.noise_level), expected, atol=1e-4)
    assert len(set(heard) & rows) == len(rows) == 4
    assert 0 < heard.count((0.0, 0.0)) < 10  # a tenth of 32
    plain = recipe(noise_level=None, network=recipe().network | {"noise_level": False})
    assert draw_batch(slices, recipe=plain, preset=PRESET, step=0).conditioning.noise_level is None


def test_each_crop_is_told_the_noise_level_of_its_own_slice(slices):
    conditioned = np.arange(8, dtype=np.float32).reshape(4, 2) + 1
    images = np.repeat(np.arange(4, dtype=np.int16) * 100, 64 * 64).reshape(4, 64, 64)
    known = Slices(images, slices.patients, slices.series, noise_level=conditioned)
    plain = Augment(flip=0, shift_pixels=0, affine=0)
    batch = draw_batch(known, recipe=recipe(augment=plain), preset=PRESET, step=0)
    values = PRESET.intensity.from_unit(batch.x0.mean(dim=(1, 2, 3)).numpy())
    for value, noise_level in zip(values, batch.conditioning.noise_level.tolist(), strict=True):
        assert noise_level in ([0.0, 0.0], conditioned[round(value / 100)].tolist())


@pytest.mark.slow
def test_a_run_goes_on_with_the_scale_it_began_with(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path / "run").train(limits=Limits(step=1))
    other = recipe(noise_level={"log_mean": [-3.0, -3.0], "log_std": [0.5, 0.5]})
    with pytest.raises(CheckpointError, match="another noise_level"):
        Trainer(other, slices, run=tmp_path / "run")
    assert Trainer(recipe(), slices, run=tmp_path / "run").step == 1


@pytest.mark.parametrize("wrong", [5, {"log_mean": [1.0, 2.0]}, {"log_mean": 1, "log_std": 2}])
def test_a_scale_that_cannot_be_is_refused(wrong, slices, tmp_path):
    with pytest.raises(ValueError, match="noise_level needs"):
        Trainer(recipe(noise_level=wrong), slices, run=tmp_path / "run")


@pytest.mark.slow
def test_training_learns_from_the_noise_level(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path / "run")
    trainer.train()
    first = 2**2 + 2**2 + 1  # after patches of x and low-pass image, and the factor
    moved = trainer.network.state_dict()["unet.conv_in.conv.weight"][:, first : first + 2]
    before = PatchUNet(trainer.config).state_dict()["unet.conv_in.conv.weight"]
    assert moved.shape == before[:, first : first + 2].shape
    assert (
        trainer.optimizer.state[trainer.network.unet.conv_in.conv.weight]["exp_avg_sq"][
            :, first : first + 2
        ]
        .gt(0)
        .any()
    )
    assert trainer.denoiser().noise_level == NoiseLevelScale(**recipe().noise_level)
    assert load_denoiser(trainer.weights).noise_level == NoiseLevelScale(**recipe().noise_level)


def test_scale_and_network_go_together():
    with pytest.raises(ValueError, match="go together"):
        recipe(noise_level=None)
