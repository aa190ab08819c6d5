"""The trainer: learns, resumes bit for bit, refuses what is not its run."""

import csv
import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from made_up_network import TINY, noisy_slices

from medsynth.datasets.data import Slices
from medsynth.datasets.settings import Data
from medsynth.diffusion import samplers
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, read_metadata
from medsynth.training import trainer as trainer_module
from medsynth.training.recipe import (
    Augment,
    Optimizer,
    Phase,
    Recipe,
    ReferenceOptions,
    TimestepSamplerOptions,
)
from medsynth.training.trainer import Limits, Trainer

pytestmark = pytest.mark.slow

NETWORK = TINY | {"patch_size": 2, "reference_conditioned": True}


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "phases": (Phase(steps=4, batch_size=2, crop=16), Phase(steps=4, batch_size=1)),
        "data": Data(statement="made up", license="none"),
        "network": NETWORK,
        "augment": Augment(shift_pixels=2),
        "optimizer": Optimizer(lr=1e-3, warmup=2, decay=0.5),
        "workers": 0,
    }
    return Recipe(**(values | changes))


@pytest.fixture
def slices():
    return noisy_slices()


def state(trainer):
    return {**trainer.network.state_dict(), **{f"ema.{k}": v for k, v in trainer.ema.items()}}


def test_resuming_continues_bit_for_bit(slices, tmp_path):
    whole = Trainer(recipe(), slices, run=tmp_path / "whole")
    whole.train()
    Trainer(recipe(), slices, run=tmp_path / "parts").train(limits=Limits(step=3))
    parts = Trainer(recipe(), slices, run=tmp_path / "parts")
    assert parts.step == 3
    parts.train()
    assert parts.step == whole.step == 8
    for key, value in state(whole).items():
        assert torch.equal(value, state(parts)[key]), key
    assert parts.losses == whole.losses


def test_interrupting_keeps_a_checkpoint_at_the_last_step(slices, tmp_path):
    def interrupt(event):
        if event.kind == "progress" and event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe(), slices, run=tmp_path).train(listener=interrupt)
    assert Trainer(recipe(), slices, run=tmp_path).step == 2


RESAMPLER = TimestepSamplerOptions("loss_second_moment", history=2, bins=2)


def test_resuming_continues_bit_for_bit_with_what_the_noise_levels_have_learned(slices, tmp_path):
    """Learned variance and all; without its histories the resampler would draw other levels."""
    refined = recipe(
        network=NETWORK | {"learned_variance": True, "fine_channels": 4},
        prediction_type="epsilon",
        schedule={"kind": "cosine", "num_train_timesteps": 100},
        timestep_sampler=RESAMPLER,
    )
    whole = Trainer(refined, slices, run=tmp_path / "whole")
    whole.train(limits=Limits(step=6))
    assert whole.timestep_sampler.probabilities[0] != whole.timestep_sampler.probabilities[1]
    Trainer(refined, slices, run=tmp_path / "parts").train(limits=Limits(step=4))
    parts = Trainer(refined, slices, run=tmp_path / "parts")
    parts.train(limits=Limits(step=6))
    for key, value in state(whole).items():
        assert torch.equal(value, state(parts)[key]), key
    assert parts.losses == whole.losses
    assert torch.equal(parts.timestep_sampler.losses, whole.timestep_sampler.losses)


@pytest.mark.parametrize(
    "changes",
    [
        {"prediction_type": "v_prediction"},
        {"prediction_type": "epsilon"},
        {"prediction_type": "sample"},
        {"prediction_type": "epsilon", "network": NETWORK | {"learned_variance": True}},
        {"timestep_sampler": RESAMPLER, "schedule": {"kind": "cosine", "shift": -2.0}},
        {"timestep_sampler": TimestepSamplerOptions("log_normal", loc=-1.0)},
    ],
    ids=["v", "epsilon", "sample", "learned variance", "resampler", "log-normal"],
)
def test_training_lowers_the_loss_of_a_constant_image(tmp_path, changes):
    images = np.full((2, 16, 16), 40, dtype=np.int16)
    flat = Slices(images, ("a", "b"), ("a", "b"))
    steps = recipe(
        phases=(Phase(steps=40, batch_size=8),),
        augment=Augment(flip=0, shift_pixels=0, affine=0),
        reference=ReferenceOptions(factors=(0, 4), weights=(0.5, 0.5)),
        optimizer=Optimizer(lr=4e-3, warmup=5, decay=0.2),
        checkpoint_every=1000,
        **changes,
    )
    trainer = Trainer(steps, flat, run=tmp_path)
    trainer.train()
    losses = [loss for _, loss, _ in trainer.losses]
    assert np.mean(losses[-8:]) < 0.6 * np.mean(losses[:4])


def test_a_network_trained_on_1000_steps_takes_the_betas_of_its_50_when_sampled(slices, tmp_path):
    """Ancestral steps with the learned variance: between beta and beta~ of each move of the 50."""
    learned = recipe(
        network=NETWORK | {"learned_variance": True},
        schedule={"kind": "cosine"},
        optimizer=Optimizer(lr=1e-2, warmup=0),
    )
    trainer = Trainer(learned, slices, run=tmp_path)
    trainer.train(limits=Limits(step=3))
    denoiser = load_denoiser(trainer.weights, dtype=torch.float32)
    table = denoiser.schedule.alphas_cumprod
    assert len(table) == 1000
    sampler = samplers.build("ddpm", variance="learned")
    planned = sampler.plan(denoiser.schedule, 50)
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for move in (planned[5], planned[25], planned[48]):
        prediction = denoiser.predict(x, move.t)
        noisy, mean = (
            sampler.step(x, prediction, move, samplers.StepInputs(noise=noise))
            for noise in (torch.ones_like(x), torch.zeros_like(x))
        )
        abar, abar_next = float(table[int(move.t)]), float(table[int(move.t_next)])
        beta = 1 - abar / abar_next
        small = (1 - abar_next) / (1 - abar) * beta
        assert 15 < move.t - move.t_next < 25
        weight = prediction.variance_weight
        assert weight.std() > 0
        expected = beta ** (weight / 2) * small ** ((1 - weight) / 2)
        torch.testing.assert_close(noisy - mean, expected, rtol=1e-3, atol=1e-6)


def test_the_weights_sample_and_describe_themselves(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path)
    trainer.train(limits=Limits(step=2))
    metadata = read_metadata(trainer.weights)
    assert metadata["steps"] == 2
    assert metadata["data"] == "made up"
    denoiser = load_denoiser(trainer.weights)
    assert denoiser.reference_conditioned
    x0 = denoiser(torch.zeros(1, 1, 32, 32), 500.0)
    assert x0.shape == (1, 1, 32, 32)
    assert torch.isfinite(x0).all()


def test_the_learning_rate_warms_up_and_falls_to_zero(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path)
    rates = [trainer.learning_rate(step) for step in range(9)]
    np.testing.assert_allclose(rates, np.array([0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]) * 1e-3)


def test_losses_are_written_as_a_table(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=3))
    with open(tmp_path / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3]


def test_another_network_in_the_run_folder_is_refused(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=1))
    other = recipe(network=NETWORK | {"num_res_blocks": 2})
    with pytest.raises(CheckpointError, match="another network"):
        Trainer(other, slices, run=tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"prediction_type": "epsilon"}, {"schedule": {"kind": "cosine"}}],
    ids=["prediction_type", "schedule"],
)
def test_a_run_goes_on_as_what_it_began(slices, tmp_path, changes, request):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=1))
    with pytest.raises(CheckpointError, match=f"another {request.node.callspec.id}"):
        Trainer(recipe(**changes), slices, run=tmp_path)


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_checkpoint(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=2))
    trainer = Trainer(recipe(), slices, run=tmp_path)
    with torch.no_grad():
        trainer.network.unet.out[2].conv.weight.fill_(float("nan"))
    kept = trainer.weights.read_bytes()
    with pytest.raises(ValueError, match=r"diverged at step 3 .* lower optimizer\.lr"):
        trainer.train()
    assert trainer.weights.read_bytes() == kept
    assert Trainer(recipe(), slices, run=tmp_path).step == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_computes_in_the_precision_asked_for(slices, tmp_path, precision):
    """Under autocast; weights, average and optimizer stay float32."""
    trainer = Trainer(recipe(precision=precision), slices, run=tmp_path)
    seen = []
    last = trainer.network.unet.out[2].conv
    last.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    trainer.train(limits=Limits(step=1))
    assert seen == [getattr(torch, precision)]
    assert {p.dtype for p in trainer.network.parameters()} == {torch.float32}


def test_the_compiled_network_is_the_one_that_trains(slices, tmp_path, monkeypatch):
    """torch.compile itself is PyTorch's; here it is only called, with the network."""
    called = []

    class Compiled(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, *args, **options):
            called.append(self.network)
            return self.network(*args, **options)

    monkeypatch.setattr(torch, "compile", Compiled)
    trainer = Trainer(recipe(compile=True), slices, run=tmp_path)
    trainer.train(limits=Limits(step=2))
    assert called == [trainer.network] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": NETWORK | {"chanels": [32]}}, "chanels"),
        ({"vlb_weight": 0.1}, "learned_variance"),
        ({"data_on_device": True}, "needs a CUDA device"),
        ({"precision": "float16"}, "auto, float32 or bfloat16"),
    ],
)
def test_a_recipe_that_cannot_act_is_refused(slices, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        Trainer(recipe(**changes), slices, run=tmp_path)


def test_a_signal_waits_for_the_end_of_a_step(slices, tmp_path, monkeypatch):
    """In the middle of a step: network and average have both moved when the checkpoint is written."""
    trainer = Trainer(recipe(), slices, run=tmp_path / "signal")
    update = trainer_module.update_average

    def interrupted(average, state, *, step, ema):
        if step == 2 and average is trainer.ema:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)  # lets Python call the handler
        update(average, state, step=step, ema=ema)

    monkeypatch.setattr(trainer_module, "update_average", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert signal.getsignal(signal.SIGTERM) is before
    straight = Trainer(recipe(), slices, run=tmp_path / "straight")
    straight.train(limits=Limits(step=4))
    resumed = Trainer(recipe(), slices, run=tmp_path / "signal")
    assert resumed.step == 4  # of several processes each has to hear of it
    for key, value in state(straight).items():
        assert torch.equal(value, state(resumed)[key]), key


def test_a_step_that_fails_in_its_middle_leaves_the_checkpoint_before(
    slices, tmp_path, monkeypatch
):
    """The network has moved and its average has not: that is nothing to go on from."""
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=1))
    trainer = Trainer(recipe(), slices, run=tmp_path)
    update = trainer_module.update_average

    def fail(average, state, *, step, ema):
        if step == 2:
            raise KeyboardInterrupt  # such as a second Ctrl-C
        update(average, state, step=step, ema=ema)

    monkeypatch.setattr(trainer_module, "update_average", fail)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert Trainer(recipe(), slices, run=tmp_path).step == 1


def test_other_images_in_the_run_folder_are_refused(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=1))
    other = Slices(slices.images + np.int16(1), slices.patients, slices.series)
    with pytest.raises(CheckpointError, match="other images"):
        Trainer(recipe(), other, run=tmp_path)


def test_a_damaged_checkpoint_is_refused(slices, tmp_path):
    Trainer(recipe(), slices, run=tmp_path).train(limits=Limits(step=1))
    tensors = tmp_path / json.loads((tmp_path / "checkpoint.json").read_text())["tensors"]
    tensors.write_bytes(tensors.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Trainer(recipe(), slices, run=tmp_path)


def test_a_run_can_start_from_shipped_weights(slices, tmp_path):
    first = Trainer(recipe(), slices, run=tmp_path / "first")
    first.train(limits=Limits(step=2))
    second = Trainer(recipe(), slices, run=tmp_path / "second", start_from=first.weights)
    assert second.step == 0
    for key, value in second.network.state_dict().items():
        torch.testing.assert_close(value, first.ema[key], atol=1e-3, rtol=1e-3)
    with pytest.raises(CheckpointError, match="holds a run already"):
        Trainer(recipe(), slices, run=tmp_path / "first", start_from=first.weights)
