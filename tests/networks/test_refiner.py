"""The refiner: what it may change, and the file it lies in."""

import math

import pytest
import torch
from refinement_made_up import loud, noise, trainer
from safetensors.torch import load_file
from torch import nn

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import KnownRegion, LowFrequency, LowFrequencyGuidance, low_pass
from medsynth.diffusion.sampling import correction, generators, sample
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, load_network, read_metadata, save_weights
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.training.recipe import Refinement
from medsynth.training.refinement.trainer import refiner_config
from medsynth.training.stopping import Limits


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (6, 40)])
def test_a_correction_has_no_low_pass_image(size):
    x0 = noise(2, 1, *size)
    change = correction(loud(), x0)
    assert change.shape == x0.shape
    assert change.std() > 0.01
    phi = low_pass.build("dct", size=size, factor=4)
    assert phi(change).abs().max() < 1e-5


def test_a_new_refiner_hardly_changes_anything():
    torch.manual_seed(0)
    assert Refiner(RefinerConfig())(noise(1, 1, 32, 32)).abs().max() < 0.02


class Zero(nn.Module):
    def forward(self, x, timesteps, *, conditioning=None):
        return torch.zeros_like(x)


@pytest.mark.parametrize("space", ["x0", "x_t"])
def test_a_refined_sample_still_follows_every_condition_exactly(space):
    reference = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    kept = torch.zeros(1, 1, 32, 32)
    kept[..., :16] = 1
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", reference, 2)], space=space)
    options = {"steps": 4, "noise": noise(1, 1, 32, 32)}
    options["sampler"] = samplers.build("dpmpp_2m")
    plain = Denoiser(Zero(), schedule.log_snr_linear(), clip=None)
    refined = Denoiser(Zero(), schedule.log_snr_linear(), clip=None, refiner=loud())
    for conditions in (
        [guidance],
        [KnownRegion(reference, kept, space=space)],
    ):
        before, after = (
            sample(d, conditions=conditions, generators=generators(0, [0]), **options)
            for d in (plain, refined)
        )
        assert (after - before).abs().max() > 0.01
        if conditions == [guidance]:
            phi = low_pass.build("dct", size=(32, 32), factor=2)
            assert (phi(after) - phi(reference)).abs().max() < 1e-5
        else:
            assert torch.equal(after[..., :16], reference[..., :16])


@pytest.mark.slow
def test_the_file_holds_network_and_refiner(unrefined_weights, paired_crops, tmp_path):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    run.train()
    metadata = read_metadata(run.weights)
    assert metadata["refiner_steps"] == 6
    assert metadata["refiner"]["factor"] == 8
    network, _ = load_network(run.weights)
    before, _ = load_network(unrefined_weights)
    for key, value in before.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key
    refiner = load_denoiser(run.weights).refiner
    for key, value in run.ema.items():
        assert torch.allclose(refiner.state_dict()[key], value.half().float()), key
    assert load_denoiser(unrefined_weights).refiner is None


@pytest.mark.parametrize(
    "network",
    [{"chanels": [8]}, {"channels": []}, {"channels": 8}, {"blocks": 0}, {"factor": 8}, {1: 2}],
)
def test_a_refiner_that_cannot_be_is_refused(network):
    with pytest.raises(ValueError, match=r"refinement\.network: "):
        refiner_config(Refinement(network=network))


def test_a_loop_in_float64_is_refined_too():
    x0 = noise(1, 1, 32, 32)
    change = correction(loud(), x0.double())
    assert change.dtype == torch.float64
    assert torch.allclose(change.float(), correction(loud(), x0), atol=1e-5)


def damaged(path, *, metadata=None, drop="", value=None):
    """The file with another header, without some tensors, or with `value` in the refiner."""
    tensors = load_file(path)
    tensors = {k: v for k, v in tensors.items() if not drop or not k.startswith(drop)}
    if value is not None:
        tensors["refiner.last.bias"][:] = value
    other = path.with_name("damaged.safetensors")
    save_weights(tensors, other, metadata=read_metadata(path) | (metadata or {}))
    return other


@pytest.mark.slow
def test_a_file_without_the_refiner_it_names_is_refused(unrefined_weights, paired_crops, tmp_path):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    run.train(limits=Limits(step=1))
    wrong = {"refiner": run.config.to_dict() | {"channels": [8, 16]}}
    for change in (
        {"drop": "refiner."},
        {"drop": "refiner.last"},
        {"metadata": wrong},
        {"metadata": {"refiner": {"channels": []}}},
        {"metadata": {"refiner": {"chanels": [8]}}},
        {"metadata": {"refiner": run.config.to_dict() | {"factor": 0}}},
        {"metadata": {"refiner": [1]}},
    ):
        with pytest.raises(CheckpointError, match="does not hold the refiner its header describes"):
            load_denoiser(damaged(run.weights, **change))
    with pytest.raises(CheckpointError, match="not finite"):
        load_denoiser(damaged(run.weights, value=math.nan))


@pytest.mark.slow
def test_a_refiner_computes_in_float32_whatever_the_network_does(
    unrefined_weights, paired_crops, tmp_path
):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    run.train(limits=Limits(step=1))
    refiner = load_denoiser(run.weights, dtype=torch.bfloat16).refiner
    assert {p.dtype for p in refiner.parameters()} == {torch.float32}
