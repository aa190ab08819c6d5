"""A distillation as a training run: who teaches, that it goes on without the teacher's file, what is refused."""

import pytest
import torch
from made_up_network import noisy_slices

from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, read_metadata
from medsynth.networks.experts import ExpertFile, check_calls
from medsynth.networks.pixel_unet import PixelUNetConfig
from medsynth.training.distillation import TEACHER
from medsynth.training.recipe import (
    Augment,
    Distillation,
    Optimizer,
    Phase,
    Recipe,
    ReferenceOptions,
)
from medsynth.training.trainer import Limits, Trainer

FINE = PixelUNetConfig(image_size=(32, 32), channels=(4, 8))
STEPS = 6


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "expert": True,
        "phases": (Phase(steps=STEPS, batch_size=4, crop=16),),
        "network": FINE.to_dict(),
        "reference": ReferenceOptions(
            factors=(4, 8), weights=(0.5, 0.5), region_factors=(2, 4), log_snr_min=-2.5
        ),
        "augment": Augment(flip=0.5, flip_rows=0.5, shift_pixels=3, affine=0),
        "residual_std": {0: 1.0, 4: 0.05, 8: 0.09},
        "optimizer": Optimizer(lr=2e-3, warmup=1, ema=0.5),
        "workers": 0,
        "precision": "float32",
    }
    return Recipe(**(values | changes))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    trainer = Trainer(recipe(), noisy_slices(), run=tmp_path_factory.mktemp("teacher"))
    trainer.train()
    return trainer.weights


def student(run, start_from=None, **changes):
    return Trainer(
        recipe(distillation=Distillation(), **changes),
        noisy_slices(),
        run=run,
        start_from=start_from,
    )


def test_it_begins_as_its_teacher_and_says_what_it_learned(teacher, tmp_path):
    trainer = student(tmp_path / "run", teacher)
    assert torch.allclose(
        trainer.ema["first.weight"],
        load_denoiser(teacher, dtype=torch.float32).network.state_dict()["first.weight"],
        atol=1e-3,
    )
    trainer.train()
    metadata = read_metadata(trainer.weights)
    assert metadata["is_expert"]
    assert metadata["distilled_calls"] == 4
    assert (tmp_path / "run" / TEACHER).read_bytes() == teacher.read_bytes()


def test_a_stopped_run_goes_on_exactly_without_the_teachers_file(teacher, tmp_path):
    whole = student(tmp_path / "whole", teacher)
    whole.train()
    student(tmp_path / "parts", teacher).train(limits=Limits(step=3))
    rest = student(tmp_path / "parts")
    assert rest.step == 3
    rest.train()
    assert all(torch.equal(rest.ema[name], value) for name, value in whole.ema.items())


def test_without_a_teacher_nothing_begins(tmp_path):
    with pytest.raises(CheckpointError, match="--start-from FILE"):
        student(tmp_path / "run")


def test_a_teacher_of_another_scale_is_refused(teacher, tmp_path):
    with pytest.raises(CheckpointError, match="another residual_std than the recipe"):
        student(tmp_path / "run", teacher, residual_std={0: 1.0, 4: 0.05, 8: 0.1})


def test_only_experts_are_distilled():
    with pytest.raises(ValueError, match="distillation is for an expert"):
        recipe(distillation=Distillation(), residual_std=None)


@pytest.mark.parametrize(("steps", "sampler"), [(20, "ddim_log_snr"), (4, "dpmpp_2m")])
def test_other_calls_than_it_learned_are_refused(teacher, steps, sampler):
    expert = ExpertFile(teacher, read_metadata(teacher) | {"distilled_calls": 4}, -2.5)
    with pytest.raises(CheckpointError, match="distilled to 4 calls of ddim_log_snr"):
        check_calls(expert, steps=steps, sampler=sampler)
    check_calls(expert, steps=4, sampler="ddim_log_snr")
    check_calls(ExpertFile(teacher, read_metadata(teacher), -2.5), steps=steps, sampler=sampler)
