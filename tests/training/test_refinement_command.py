"""`medsynth refine`: from films to weights, and what it refuses before it begins."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from refinement_made_up import NETWORK, made_slices
from safetensors.torch import load_file

from medsynth.cli import app as cli
from medsynth.errors import CheckpointError
from medsynth.networks import read_metadata, save_weights
from medsynth.training import checkpoint
from medsynth.training.recipe import Refinement

pytestmark = pytest.mark.slow
CONFIGS = Path(__file__).resolve().parents[2] / "monai_bundle/configs"


@pytest.fixture
def slices():
    return made_slices()


@pytest.fixture
def films(tmp_path, slices):
    """Six brain slices of two patients as PNG with a table, a recipe and a network for them."""
    folder = tmp_path / "films"
    folder.mkdir()
    lines = ["file,patient"]
    for index in range(6):
        values = np.random.default_rng(index).integers(20, 255, (256, 256)).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{index}.png")
        lines.append(f"{index}.png,p{index % 2}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    refinement = {
        "images": 6,
        "crop": 32,
        "sampling_steps": 1,
        "network": {"channels": [8, 12], "fine_channels": 4},
        "steps": 2,
        "batch_size": 2,
        "patch": 16,
    }
    recipe = {
        "preset": "brain_mri",
        "data": {
            "layout": "table",
            "table": "table.csv",
            "statement": "made up",
            "license": "none",
        },
        "network": NETWORK.to_dict() | {"image_size": [256, 256]},
        "phases": [{"crop": 32, "batch_size": 1, "steps": 1}],
        "samples": {"every": 0},
        "workers": 0,
        "refinement": refinement,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_the_command_trains_refines_and_goes_on(films, capfd):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined")]
    assert cli.main([*refine, "--stop-at", "1", "--progress", "json"]) == 0
    out = capfd.readouterr().out
    assert json.loads(out.splitlines()[-1])["data"]["step"] == 1
    assert cli.main(refine) == 0
    nothing = ["--start-from", str(films / "run/weights.safetensors")]
    assert cli.main([*refine[:-1], str(films / "again"), *nothing]) == 2
    assert "has no refiner" in capfd.readouterr().err
    record = checkpoint.read_record(films / "refined")
    with pytest.raises(CheckpointError, match="holds the teaching of a refiner"):
        checkpoint.check(films / "refined", record, recipe={}, data_digest="")
    itself = ["refine", recipe, data, f"--weights={films / 'refined/weights.safetensors'}"]
    assert cli.main([*itself, "-o", str(films / "refined")]) == 2
    assert "would be replaced by its refined self" in capfd.readouterr().err
    assert read_metadata(films / "refined/weights.safetensors")["refiner_steps"] == 2
    assert {p.name for p in (films / "refined").iterdir()} >= {
        "split.csv",
        "samples.png",
        "paired_crops",
    }


def test_the_bundle_refines_as_the_command_does(films, capfd):
    monai_bundle = pytest.importorskip("monai.bundle")
    pytest.importorskip("fire", reason="needs the extra medsynth-slicer[bundle]")
    recipe, data = str(films / "recipe.yaml"), str(films / "films")
    assert cli.main(["train", recipe, f"--data={data}", "-o", str(films / "run")]) == 0
    weights = str(films / "run/weights.safetensors")
    command = ["refine", recipe, f"--data={data}", f"--weights={weights}"]
    assert cli.main([*command, "-o", str(films / "command")]) == 0
    (films / "bundle").mkdir()
    (films / "command/paired_crops").rename(films / "bundle/pool")  # as runs of users call it
    monai_bundle.run(
        config_file=str(CONFIGS / "refine.json"),
        logging_file=False,
        recipe=recipe,
        dataset_dir=data,
        weights=weights,
        out=str(films / "bundle"),
        progress="none",
    )
    assert not (films / "bundle/paired_crops").exists()
    ours, theirs = (films / f"{name}/weights.safetensors" for name in ("bundle", "command"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_command_refuses_the_paired_crops_of_other_settings(films, capsys):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined")]
    assert cli.main(refine) == 0
    assert cli.main([*refine, "--set", "refinement.sampling_steps=2"]) == 2
    assert "sampling_steps 1, now it is 2; choose another folder" in capsys.readouterr().err
    Image.new("L", (256, 256), 99).save(films / "films/0.png")
    assert cli.main(refine) == 2
    assert "images_digest" in capsys.readouterr().err


def test_the_command_refuses_before_the_paired_crops_what_cannot_work(films, capsys, monkeypatch):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = films / "run/weights.safetensors"
    metadata = read_metadata(weights)
    del metadata["split"]
    older = films / "older.safetensors"
    save_weights(load_file(weights), older, metadata=metadata | {"held_out": ["p1"]})
    refine = ["refine", recipe, data, "-o", str(films / "refined")]
    for words, message in (
        ([f"--weights={older}"], "holds out p1, on whom the recipe trains"),
        ([f"--weights={weights}", "--stop-at=0"], "--stop-at must be at least 1"),
        ([f"--weights={weights}", "--set=refinement.network.blocks=0"], "refinement.network: "),
        ([f"--weights={weights}", "--set=refinement.network=5"], "refinement.network: "),
    ):
        assert cli.main([*refine, *words]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("medsynth: error:")
        assert message in error
        assert not (films / "refined").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main([*refine, f"--weights={weights}"]) == 2
    assert "one process, got 2" in capsys.readouterr().err


def test_the_command_stopped_in_the_paired_crops_says_where_it_goes_on(films, capsys, monkeypatch):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("medsynth.training.refinement.paired_crops._draw", interrupted)
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined"), "--progress", "json"]
    assert cli.main(refine) == 130
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "goes on with the paired crops in" in last["message"]
    assert last["data"]["exit_code"] == 130


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="a weight for each"):
        Refinement(factors=(4, 8), weights=(1.0,))
    with pytest.raises(ValueError, match="at least 1"):
        Refinement(steps=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factors": (4, 8), "weights": (1.0, -1.0)}, "not all 0"),
        ({"factors": (4, 8), "weights": (0.0, 0.0)}, "not all 0"),
        ({"patch": 64, "crop": 32}, "at most refinement.crop"),
        ({"patch": 12}, "the largest factor"),
        ({"checkpoint_every": 0}, "checkpoint_every must lie in 1"),
        ({"lr": math.nan}, "refinement.lr"),
        ({"ema": 1.5}, "refinement.ema must lie in 0 ... 1"),
    ],
)
def test_values_that_would_fail_after_the_paired_crops_are_refused_before(values, message):
    with pytest.raises(ValueError, match=message):
        Refinement(**values)
