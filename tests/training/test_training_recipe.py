"""Recipes: read with every key checked; data split by patient."""

import numpy as np
import pytest
import yaml

from medsynth import domains as presets
from medsynth.datasets.settings import Data
from medsynth.training.recipe import (
    RECIPES,
    Phase,
    Recipe,
    ReferenceOptions,
    TimestepSamplerOptions,
    load_recipe,
)


def test_the_shipped_recipe_describes_a_network_that_can_be_built():
    from medsynth.networks import PatchUNetConfig

    recipe = load_recipe("lung_ct")
    config = PatchUNetConfig.from_dict(recipe.network)
    assert config.image_size == presets.get(recipe.preset).grid
    assert len(recipe.data.held_out) >= 2


def test_the_plain_recipe_is_the_papers_network_on_the_same_data():
    """The baseline differs from the shipped network's recipe by the method alone."""
    plain, ours = load_recipe("lung_ct_plain"), load_recipe("lung_ct")
    assert plain.data == ours.data
    assert plain.phases == ours.phases
    assert plain.optimizer == ours.optimizer
    later = {"fine_channels", "fine_blocks", "noise_level"}
    shared = {k: v for k, v in ours.network.items() if k not in later}
    assert plain.network == shared | {"reference_conditioned": False, "learned_variance": True}
    assert plain.residual_std is None
    assert plain.noise_level is None
    assert (plain.prediction_type, plain.schedule["kind"]) == ("epsilon", "cosine")
    assert plain.timestep_sampler.kind == "loss_second_moment"
    assert plain.timestep_sampler.history == 10


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_has_a_loss_and_noise_levels_that_can_be_built(path):
    from medsynth.diffusion import schedule
    from medsynth.diffusion.loss import Objective
    from medsynth.training import timestep_samplers as levels

    recipe = load_recipe(path)
    built = schedule.build(**recipe.schedule)
    levels.build(recipe.timestep_sampler, built)
    Objective(
        built,
        prediction_type=recipe.prediction_type,
        learned_variance=recipe.network.get("learned_variance", False),
        vlb_weight=recipe.vlb_weight,
    )


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_recipe_survives_writing_and_reading(path, tmp_path):
    recipe = load_recipe(path)
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(recipe.to_dict()))
    assert load_recipe(copy) == recipe


def test_overrides_reach_nested_keys_and_list_items():
    recipe = load_recipe("lung_ct", overrides={"optimizer.lr": 1e-5, "phases.0.steps": 7})
    assert recipe.optimizer.lr == 1e-5
    assert recipe.phases[0].steps == 7


def test_an_unknown_key_names_the_nearest_one(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("preset: lung_ct\nphases: [{steps: 1, batch_size: 1}]\noptimiser: {}\n")
    with pytest.raises(ValueError, match="unknown key 'optimiser'; did you mean 'optimizer'"):
        load_recipe(path)


def test_a_wrong_type_names_the_key(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("preset: lung_ct\nphases: [{steps: many, batch_size: 1}]\n")
    with pytest.raises(ValueError, match="steps: expected int, got 'many'"):
        load_recipe(path)


def test_a_missing_recipe_lists_those_there_are():
    with pytest.raises(FileNotFoundError, match="lung_ct"):
        load_recipe("no_such_recipe")


def test_the_phase_of_a_step():
    recipe = load_recipe("lung_ct")
    first, second = recipe.phases[:2]
    assert recipe.phase_at(0) is first
    assert recipe.phase_at(first.steps - 1) is first
    assert recipe.phase_at(first.steps) is second
    assert isinstance(recipe.phase_at(10**9), Phase)


@pytest.fixture
def tree(tmp_path):
    """Three patients, one volume each, on the preset's grid."""
    import SimpleITK as sitk

    from medsynth.dicom import ExportJob, write_series

    for index, patient in enumerate(("p1", "p2", "p3")):
        values = np.full((2, 512, 512), -1000 + index, dtype=np.int16)
        image = sitk.GetImageFromArray(values)
        write_series(
            image,
            tmp_path / patient / "ct",
            preset=presets.get("lung_ct"),
            job=ExportJob(patient),
            derivation="test",
        )
    return tmp_path


def test_held_out_patients_never_reach_the_trainer(tree):
    from medsynth.datasets.data import load_slices

    data = Data(root=str(tree), held_out=("p2",))
    training = load_slices(data, preset=presets.get("lung_ct"))
    held_out = load_slices(data, preset=presets.get("lung_ct"), held_out=True)
    assert set(training.patients) == {"p1", "p3"}
    assert set(held_out.patients) == {"p2"}
    assert not (training.images == -999).any()
    assert (held_out.images == -999).all()


def test_a_held_out_patient_that_is_not_there_is_an_error(tree):
    from medsynth.datasets.data import load_slices

    with pytest.raises(ValueError, match="p9 are not in"):
        load_slices(Data(root=str(tree), held_out=("p9",)), preset=presets.get("lung_ct"))


def test_excluded_series_are_left_out(tree):
    from medsynth.datasets.data import load_slices

    data = Data(root=str(tree), exclude=("p1/ct",))
    assert set(load_slices(data, preset=presets.get("lung_ct")).patients) == {"p2", "p3"}


def test_a_cut_of_levels_is_refused_where_levels_are_not_uniform():
    with pytest.raises(ValueError, match="leave it out"):
        Recipe(
            preset="lung_ct",
            phases=(),
            reference=ReferenceOptions(log_snr_min=-2.5),
            timestep_sampler=TimestepSamplerOptions(kind="loss_second_moment"),
        )
