"""Teaching a refiner: it resumes, it learns, and what goes wrong leaves the checkpoint."""

import math
import os
import signal

import numpy as np
import pytest
import torch
from refinement_made_up import loud, noise, trainer
from safetensors.torch import load_file
from torch import nn

from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.sampling import correction
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, read_metadata, save_weights
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.training.refinement.discriminators import adversarial_loss
from medsynth.training.refinement.paired_crops import PairedCrops
from medsynth.training.stopping import Limits

pytestmark = pytest.mark.slow


def state(trainer):
    return {
        **trainer.refiner.state_dict(),
        **{f"j.{k}": v for k, v in trainer.discriminators.state_dict().items()},
        **{f"e.{k}": v for k, v in trainer.ema.items()},
    }


def test_refining_resumes_bit_for_bit(unrefined_weights, paired_crops, tmp_path):
    whole = trainer(unrefined_weights, paired_crops, tmp_path / "whole")
    whole.train()
    trainer(unrefined_weights, paired_crops, tmp_path / "parts").train(limits=Limits(step=3))
    parts = trainer(unrefined_weights, paired_crops, tmp_path / "parts")
    assert parts.step == 3
    parts.train()
    assert parts.step == whole.step == 6
    assert parts.losses == whole.losses
    for key, value in state(whole).items():
        assert torch.equal(value, state(parts)[key]), key
    with pytest.raises(CheckpointError, match="another refinement"):
        trainer(unrefined_weights, paired_crops, tmp_path / "parts", lr=1e-2)


def test_refining_takes_a_pattern_away_that_real_images_do_not_have(
    unrefined_weights, paired_crops, tmp_path
):
    run = trainer(
        unrefined_weights, paired_crops, tmp_path / "run", steps=120, lr=2e-3, checkpoint_every=1000
    )
    run.train()
    refiner = Refiner(run.config)
    refiner.load_state_dict(run.ema)
    pattern = paired_crops.synthetic - paired_crops.real
    with torch.no_grad():
        left = paired_crops.synthetic + refiner(paired_crops.synthetic) - paired_crops.real
    share = (left * pattern).mean() / pattern.square().mean()
    assert float(share) < 0.5
    assert (tmp_path / "run/samples.png").stat().st_size > 1000


def test_a_run_may_begin_as_another_refiner(unrefined_weights, paired_crops, tmp_path):
    first = trainer(unrefined_weights, paired_crops, tmp_path / "first")
    first.train()
    refiner = load_denoiser(first.weights).refiner
    second = trainer(unrefined_weights, paired_crops, tmp_path / "second", start_from=refiner)
    for key, value in refiner.state_dict().items():
        assert torch.equal(second.refiner.state_dict()[key], value)
        assert torch.equal(second.ema[key], value)
    with pytest.raises(CheckpointError, match="holds a refinement already"):
        trainer(unrefined_weights, paired_crops, tmp_path / "first", start_from=refiner)
    with pytest.raises(CheckpointError, match="the recipe describes"):
        trainer(
            unrefined_weights, paired_crops, tmp_path / "third", start_from=Refiner(RefinerConfig())
        )


def test_patches_larger_than_the_crops_are_refused(unrefined_weights, paired_crops, tmp_path):
    with pytest.raises(ValueError, match=r"at most the crop's 32 pixels, got 64"):
        trainer(
            unrefined_weights, paired_crops, tmp_path / "run", patch=64, crop=64
        )  # of images of 32


@pytest.mark.parametrize("seen", [[], ["sample"]])
def test_a_sample_of_the_same_size_does_not_spoil_the_teaching(
    seen, unrefined_weights, paired_crops, tmp_path
):
    """Filters are kept; made in inference mode, gradients could not pass them."""
    low_pass._build.cache_clear()
    if seen:
        x0 = noise(1, 1, 16, 16)
        with torch.inference_mode():
            correction(loud(), x0)
    trainer(unrefined_weights, paired_crops, tmp_path / "run").train(limits=Limits(step=1))


def batches(trainer, turn):
    synthetic, real, factor, noise = trainer._batch(turn)
    return synthetic, real, factor, noise


def test_patches_are_pairs_of_one_place_one_factor_and_not_air(unrefined_weights, tmp_path):
    """Every value says where it is from; the first half of each image is air."""
    place = torch.arange(6 * 32 * 32).reshape(6, 1, 32, 32) / (6 * 32 * 32)
    place[..., :16] = -1
    factors = np.array([4, 8] * 3)
    run = trainer(unrefined_weights, PairedCrops(place + 0.5, place, factors), tmp_path / "run")
    drawn = set()
    for step in range(20):
        run.step = step
        judging, refining = (batches(run, turn) for turn in (0, 1))
        for synthetic, real, factor, cover in (judging, refining):
            assert torch.allclose(synthetic - real, torch.tensor(0.5), atol=1e-6)
            assert ((real > -0.95).float().mean(dim=(1, 2, 3)) >= 0.4).all()
            inside = real.amax(dim=(1, 2, 3))
            index = (inside * 6).long().tolist()
            assert {int(factors[i]) for i in index} == {factor}
            assert cover.shape == (2, *real.shape)
            assert 0 <= float(cover.min()) <= float(cover.max()) < 1
            drawn.add(factor)
        assert not torch.equal(judging[3], refining[3])
    assert drawn == {4, 8}


def test_teaching_leaves_the_low_pass_image_of_its_reference_alone(
    unrefined_weights, paired_crops, tmp_path
):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    nn.init.normal_(run.refiner.last.weight, std=1.0)
    change = run._change(paired_crops.synthetic, 4)
    assert change.std() > 0.01
    assert low_pass.build("dct", size=(32, 32), factor=4)(change).abs().max() < 1e-5
    assert low_pass.build("dct", size=(32, 32), factor=2)(change).abs().max() > 1e-3


def test_the_rate_rises_and_falls(unrefined_weights, paired_crops, tmp_path):
    run = trainer(
        unrefined_weights, paired_crops, tmp_path / "run", steps=100, warmup=10, decay=0.5, lr=1.0
    )
    assert [run.learning_rate(s) for s in (0, 4, 9, 49)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert [run.learning_rate(s) for s in (75, 100)] == pytest.approx([0.5, 0.0])


def test_ctrl_c_is_heard_between_two_steps(unrefined_weights, paired_crops, tmp_path):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")

    def stop(event):
        if event.kind == "progress":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run.train(listener=stop)
    assert (
        run.step == 2
    )  # pressed after the first: all processes agree to stop as the next one ends
    assert trainer(unrefined_weights, paired_crops, tmp_path / "run").step == 2


@pytest.mark.parametrize("where", ["before", "between"])
def test_what_diverges_leaves_the_checkpoint_before(
    where, unrefined_weights, paired_crops, tmp_path, monkeypatch
):
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    run.train(limits=Limits(step=2))
    kept = load_file(run.weights)
    if where == "before":  # the gradients of the judges are no longer numbers, their loss is
        weight = next(run.discriminators.parameters())
        weight.register_hook(lambda slope: slope * math.inf)
    else:  # in step 4 the judges have moved, the refiner has not; step 3 is not on disk
        factors = iter([1.0, math.nan])
        monkeypatch.setattr(
            "medsynth.training.refinement.trainer.adversarial_loss",
            lambda *seen: adversarial_loss(*seen) * next(factors),
        )
    with pytest.raises(ValueError, match="diverged at step"):
        run.train()
    assert all(torch.equal(v, load_file(run.weights)[k]) for k, v in kept.items())
    again = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    assert again.step == 2
    assert all(p.isfinite().all() for p in again.discriminators.parameters())


def test_a_network_replaced_meanwhile_does_not_get_into_the_file(
    unrefined_weights, paired_crops, tmp_path
):
    before = load_file(unrefined_weights)
    run = trainer(unrefined_weights, paired_crops, tmp_path / "run")
    save_weights(
        {k: v + 1 for k, v in before.items()},
        unrefined_weights,
        metadata=read_metadata(unrefined_weights),
    )
    run.train(limits=Limits(step=1))
    written = load_file(run.weights)
    assert all(torch.equal(v, written[k]) for k, v in before.items())
