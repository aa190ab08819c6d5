"""The trainer: learns, resumes bit for bit, refuses what is not its run."""

import csv
import json

import numpy as np
import pytest
import torch

from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, read_card
from medsynth.training.data import Slices
from medsynth.training.recipe import Augment, Data, Optimizer, Phase, Recipe
from medsynth.training.trainer import Limits, Trainer

NETWORK = {
    "image_size": [32, 32],
    "patch_size": 2,
    "channels": [32, 32],
    "attention_levels": [False, False],
    "num_res_blocks": 1,
    "num_head_channels": 32,
    "reference_aware": True,
}


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "phases": (Phase(steps=4, batch_size=2, crop=16), Phase(steps=4, batch_size=1)),
        "data": Data(statement="made up", licence="none"),
        "network": NETWORK,
        "augment": Augment(shift_pixels=2),
        "optimizer": Optimizer(lr=1e-3, warmup=2, decay=0.5),
        "workers": 0,
    }
    return Recipe(**(values | changes))


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    images = rng.integers(-900, 100, (6, 32, 32)).astype(np.int16)
    return Slices(images, ("a",) * 3 + ("b",) * 3, ("a/1",) * 3 + ("b/1",) * 3)


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


def test_training_lowers_the_loss_of_a_constant_image(tmp_path):
    images = np.full((2, 32, 32), 40, dtype=np.int16)
    flat = Slices(images, ("a", "b"), ("a", "b"))
    steps = recipe(
        phases=(Phase(steps=60, batch_size=4),),
        augment=Augment(flip=0, shift_pixels=0, affine=0),
        optimizer=Optimizer(lr=2e-3, warmup=5, decay=0.2),
        checkpoint_every=1000,
    )
    trainer = Trainer(steps, flat, run=tmp_path)
    trainer.train()
    losses = [loss for _, loss, _ in trainer.losses]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_the_weights_sample_and_describe_themselves(slices, tmp_path):
    trainer = Trainer(recipe(), slices, run=tmp_path)
    trainer.train(limits=Limits(step=2))
    card = read_card(trainer.weights)
    assert card["steps"] == 2
    assert card["data"] == "made up"
    denoiser = load_denoiser(trainer.weights)
    assert denoiser.reference_aware
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
