"""The shipped weights and a recipe from before the names changed load as they always did."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from medsynth.networks import load_network, read_metadata
from medsynth.storage.aliases import ALIASES
from medsynth.training.recipe import load_recipe

MODELS = Path(__file__).parents[2] / "monai_bundle/models"
SHIPPED = sorted(MODELS.glob("*.safetensors"))

OLD_RECIPE = """
preset: lung_ct
network: {image_size: [512, 512], reference_aware: true, texture: true}
texture: {log_mean: [-3.5, -3.0], log_std: [0.5, 0.5]}
noise_levels: {kind: log_normal, loc: -1.0}
phases: [{steps: 1, batch_size: 1}]
refinement: {judge_pace: 2.0}
"""


def header(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(json.loads(file.read(length))["__metadata__"]["medsynth"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_header_is_read_under_todays_names(path):
    old, new = header(path), read_metadata(path)
    assert not ({*new, *new["network"]} & set(ALIASES))
    for today, before in (
        ("conditioned_log_snr_min", "told_log_snr_min"),
        ("noise_level", "texture"),
        ("low_pass_factor", "low_band_factor"),
    ):
        assert new.get(today) == old.get(before, old.get(today))
    own = old["network"]
    was = own.get("reference_aware", own.get("reference_conditioned"))
    assert new["network"].get("reference_conditioned") == was


def test_a_shipped_network_loads():
    networks = [path for path in SHIPPED if "system" not in header(path)]
    small = min(networks, key=lambda path: path.stat().st_size)
    network, metadata = load_network(small)
    assert sum(p.numel() for p in network.parameters()) > 1e5
    assert metadata["preset"] == "lung_ct"


def test_an_old_recipe_loads(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text(OLD_RECIPE)
    recipe = load_recipe(path, overrides={"noise_levels.loc": -2.0})
    assert recipe.network["reference_conditioned"]
    assert recipe.network["noise_level"]
    assert recipe.noise_level == {"log_mean": [-3.5, -3.0], "log_std": [0.5, 0.5]}
    assert recipe.timestep_sampler.loc == -2.0
    assert recipe.refinement.discriminator_lr_ratio == 2.0
