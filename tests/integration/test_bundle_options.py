"""Every option of the bundle acts or is refused, and reaches the object that it is of."""

import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from bundle_configs import (
    EVALUATE,
    INFERENCE,
    OBJECTS,
    ONNX,
    REFINE,
    TRAIN,
    Recorded,
    assert_same_image,
    config_of,
    monai,
    monai_bundle,
    run_here,
)

from medsynth.bundle import inference, options
from medsynth.bundle.options import check_options
from medsynth.evaluation.evaluator import Evaluator
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import read_metadata
from medsynth.training.recipe import load_recipe
from medsynth.training.refinement.run import RefinementRun


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("precision", "half"), ("channels_last", "yes"), ("compile", 1), ("slices_per_batch", 0)],
)
def test_settings_of_the_network_act_or_are_refused(bundle_folder, option, wrong):
    options = {"request": str(bundle_folder / "request.yaml"), "out": "x"}
    with pytest.raises(ValueError, match=option):
        run_here(INFERENCE, **options, **{option: wrong})
    parser = monai_bundle.ConfigParser()
    parser.read_config(str(INFERENCE))
    parser.update(options | {"precision": "float32", "channels_last": False})
    denoiser = parser.get_parsed_content("denoiser")
    assert denoiser.dtype == torch.float32
    weight = max(denoiser.network.parameters(), key=lambda p: p.ndim * p.numel())
    assert weight.is_contiguous()


def test_the_seed_matters(bundle_folder, bundle_expected):
    """Else the comparison above would not notice a dropped override."""
    run_here(
        INFERENCE,
        request=str(bundle_folder / "request.yaml"),
        out=str(bundle_folder / "seed1"),
        steps=2,
    )
    with pytest.raises(AssertionError):
        assert_same_image(bundle_folder / "seed1", bundle_expected)


def test_every_option_reaches_the_request(bundle_folder, monkeypatch, tmp_path):
    """Also weights named from where the user stands, which is not the request's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes((bundle_folder / "tiny.safetensors").read_bytes())
    seen = []
    monkeypatch.setattr(
        inference, "run", lambda request, out, **kw: seen.append((request, out, kw))
    )
    run_here(
        INFERENCE,
        request=str(bundle_folder / "request.yaml"),
        out="there",
        preset="lung_ct",
        seed=9,
        steps=7,
        device="auto",
        weights="mine.safetensors",
        set=["anatomy.factor=8", "filter=block"],
        overwrite=True,
        dry_run=True,
        progress="none",
    )
    ((request, out, options),) = seen
    assert (request.seed, request.steps, request.device) == (9, 7, "auto")
    assert (request.anatomy.factor, request.filter) == (8, "block")
    assert request.weights == tmp_path / "mine.safetensors"
    assert out == Path("there")
    assert options["overwrite"] is True
    assert options["dry_run"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "x"}, "--request is not given"),
        ({"request": "nowhere.yaml", "out": "x"}, "no such request file"),
        ({"request": "REQUEST", "out": 7}, "--out was read as 7"),
        ({"request": "REQUEST", "out": "x", "preset": "lung"}, "did you mean 'lung_ct'?"),
        ({"request": "REQUEST", "out": "x", "seed": "seven"}, "seed"),
        ({"request": "REQUEST", "out": "x", "device": "tpu"}, "device"),
        ({"request": "REQUEST", "out": "x", "weights": "none.safetensors"}, "none.safetensors"),
        ({"request": "REQUEST", "out": "x", "set": ["anatomy.facter=8"]}, "facter"),
        ({"request": "REQUEST", "out": "x", "overwrite": "yes"}, "must be True or False"),
        ({"request": "REQUEST", "out": "x", "progress": "loud"}, "progress"),
    ],
)
def test_a_wrong_option_is_refused(bundle_folder, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    if options.get("request") == "REQUEST":
        options = options | {"request": str(bundle_folder / "request.yaml")}
    with pytest.raises((ValueError, OSError), match=re.escape(message)):
        run_here(INFERENCE, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"--seed": "seven"}, "seed"),  # by an object that MONAI builds
        ({"--devise": "cpu"}, "unknown option --devise; did you mean --device?"),
    ],
)
def test_a_refusal_of_the_command_line_is_one_line_and_code_2(
    bundle_folder, tmp_path, option, message
):
    given = [word for pair in option.items() for word in pair]
    request = ("--request", bundle_folder / "request.yaml", "--out", "x")
    done = monai("run", "--config_file", INFERENCE, *request, *given, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("medsynth: error:")]
    assert message in line
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "typo", "meant"),
    [
        (INFERENCE, "devise", "device"),
        (TRAIN, "devise", "device"),
        (REFINE, "wieghts", "weights"),
        (EVALUATE, "slizes", "slices"),
        (ONNX, "sise", "size"),
    ],
)
def test_a_misspelt_option_is_refused_before_anything_runs(config, typo, meant, monkeypatch):
    program = str(Path(monai_bundle.__file__).with_name("__main__.py"))
    monkeypatch.setattr(sys, "argv", [program, "run", "--config_file", "x", f"--{typo}=1"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("signal.signal", lambda *a: None)
    with pytest.raises(ValueError, match=f"unknown option --{typo}; did you mean --{meant}?"):
        run_here(config, **{typo: "1"})


def test_options_that_are_let_through_or_not():
    def check(*arguments):
        check_options(["seed", "dry_run"], argv=[program, "run", *arguments])

    program = "/somewhere/monai/bundle/__main__.py"
    check("--config_file", "c", "--meta_file=m", "--seed", "-4", "--dry-run")
    check("--network_def::weights", "w", "--_meta_#version", "2", "--", "--trace")
    check_options(["seed"], argv=["pytest", "--durations=15"])
    for wrong in (["--sede", "4"], ["--seed", "1", "--seed", "2"], ["--nodry_run"]):
        with pytest.raises(ValueError, match="unknown option|given twice"):
            check(*wrong)


@pytest.mark.parametrize("config", [INFERENCE, TRAIN, REFINE, EVALUATE, ONNX])
def test_the_list_of_options_is_the_config_and_each_one_acts(config):
    values = json.loads(config.read_text())
    _, check, *_ = values.pop("initialize")
    options = {k for k, v in values.items() if not isinstance(v, dict)} - OBJECTS
    assert set(check["options"]) == options
    used = json.dumps({k: v for k, v in values.items() if k not in options})
    assert all(re.search(rf"@{name}\b", used) for name in options - {"debug"})


def test_every_option_of_refining_reaches_the_object(monkeypatch, bundle_folder):
    monkeypatch.chdir(bundle_folder)
    monkeypatch.setattr("medsynth.training.refinement.run.RefinementRun", Recorded)
    parser = config_of(
        REFINE,
        recipe="lung_ct",
        dataset_dir="films",
        out="there",
        weights="tiny.safetensors",
        start_from="other.safetensors",
        set=["refinement.steps=7", "seed=4"],
        minutes=2.5,
        stop_at=3,
        threads=2,
        device="cpu",
        progress="none",
    )
    parser.get_parsed_content("run")
    given = Recorded.last.given
    assert Recorded.last.ran
    recipe = load_recipe(
        "lung_ct",
        overrides={"data.root": str(bundle_folder / "films"), "refinement.steps": 7, "seed": 4},
    )
    assert given["recipe"] == recipe
    assert (given["out"], given["start_from"]) == (Path("there"), Path("other.safetensors"))
    assert given["weights"] == bundle_folder / "tiny.safetensors"
    assert given["metadata"] == read_metadata(bundle_folder / "tiny.safetensors")
    assert (given["limits"].minutes, given["limits"].step, given["threads"]) == (2.5, 3, 2)
    assert given["device"] == "cpu"
    assert given["images"].keywords["recipe"] == recipe


def test_every_option_of_evaluation_reaches_the_object(monkeypatch, bundle_folder):
    monkeypatch.chdir(bundle_folder)
    monkeypatch.setattr("medsynth.evaluation.evaluator.Evaluator", Recorded)
    options = {"factor": 4, "slices": 9, "steps": 7, "sampler": "ddim", "seed": 3, "threads": 2}
    options |= {"unguided": 2, "nodules": 1, "reuse": True, "overwrite": True}
    parser = config_of(
        EVALUATE,
        recipe="lung_ct",
        dataset_dir="films",
        out="there",
        weights="tiny.safetensors",
        imagenet="resnet.pth",
        low_pass_weights="low.safetensors",
        only=("spectrum", "noise"),
        progress="none",
        **options,
    )
    parser.get_parsed_content("run")
    given = Recorded.last.given
    assert Recorded.last.ran
    assert given["recipe"] == load_recipe(
        "lung_ct", overrides={"data.root": str(bundle_folder / "films")}
    )
    assert (given["out"], given["imagenet"]) == (Path("there"), Path("resnet.pth"))
    assert given["weights"] == bundle_folder / "tiny.safetensors"
    assert given["low_pass_weights"] == Path("low.safetensors")
    assert given["only"] == ["spectrum", "noise"]
    assert {key: given[key] for key in options} == options


@pytest.mark.parametrize(("config", "id"), [(EVALUATE, "evaluator"), (REFINE, "refinement")])
def test_the_config_says_everything_of_its_object(config, id):
    """Else an option of the command would be missing in the bundle alone."""
    content = json.loads(config.read_text())[id]
    kind = {"evaluator": Evaluator, "refinement": RefinementRun}[id]
    assert set(content) - {"_target_"} == {f.name for f in fields(kind) if f.init}


def test_names_and_flags_are_read_as_fire_leaves_them():
    assert options.names("spectrum, noise") == options.names(("spectrum", "noise"))
    assert options.names("spectrum") == ["spectrum"]
    assert options.names(None) is None
    with pytest.raises(ValueError, match="--reuse must be True or False, got 'yes'"):
        run_here(EVALUATE, out="there", dataset_dir="films", reuse="yes")


def test_evaluation_without_data_says_so():
    with pytest.raises(ValueError, match="--dataset_dir is not given"):
        run_here(EVALUATE, out="there")


def test_the_config_says_everything_of_the_generator_that_a_request_says():
    """Else a value of the request would be ignored by the bundle alone."""
    config = json.loads(INFERENCE.read_text())["generator"]
    assert set(config) - {"_target_"} == {field.name for field in fields(GuidedDiffusion)}
