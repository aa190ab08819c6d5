"""The MONAI bundle does what the `medsynth` commands do, bit for bit, and refuses what cannot act."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from made_up_network import TINY

from medsynth import domains as presets
from medsynth import pipeline
from medsynth.bundle import inference, options
from medsynth.bundle.options import check_options, of_the_user
from medsynth.cli import app as cli
from medsynth.datasets.data import load_slices
from medsynth.dicom import ExportJob, write_series
from medsynth.evaluation.evaluator import Evaluator
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import (
    PatchUNet,
    PatchUNetConfig,
    load_network,
    read_metadata,
    save_weights,
)
from medsynth.request import load_request
from medsynth.training.recipe import load_recipe
from medsynth.training.refinement.run import RefinementRun
from medsynth.training.trainer import Limits, Trainer

monai_bundle = pytest.importorskip("monai.bundle")
pytest.importorskip("fire", reason="needs the extra medsynth-slicer[bundle]")

BUNDLE = Path(__file__).resolve().parents[2] / "monai_bundle"
INFERENCE, TRAIN = BUNDLE / "configs/inference.json", BUNDLE / "configs/train.json"
ONNX = BUNDLE / "configs/onnx_export.json"
EVALUATE, REFINE = BUNDLE / "configs/evaluate.json", BUNDLE / "configs/refine.json"
SHIPPED = BUNDLE / "models" / presets.get("lung_ct").weights
NETWORK = TINY | {"image_size": [64, 64], "reference_conditioned": True}
OBJECTS = {"initialize", "run", "network_def"}
REQUEST = {
    "preset": "lung_ct",
    "anatomy": {
        "phantom": {"kind": "thorax", "slices": 2, "size": [64, 64], "spacing_mm": [6, 6, 6]},
        "factor": 4,
    },
    "steps": 3,
    "seed": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A request, and the weights of a small network of the shipped network's kind."""
    folder = tmp_path_factory.mktemp("bundle")
    generator = torch.Generator().manual_seed(0)
    config = PatchUNetConfig.from_dict(NETWORK)
    # The last layer begins at zero in an untrained network, which would then not matter.
    state = {
        name: 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in PatchUNet(config).state_dict().items()
    }
    metadata = {
        "network": config.to_dict(),
        "schedule": {"kind": "log_snr_linear"},
        "prediction_type": "v_prediction",
        "preset": "lung_ct",
        "data": "none",
        "license": "none",
    }
    save_weights(state, folder / "tiny.safetensors", metadata=metadata)
    request = REQUEST | {"weights": "tiny.safetensors"}
    (folder / "request.yaml").write_text(yaml.safe_dump(request))
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """What the library makes of the request with seed 5 and 2 steps."""
    request = load_request(folder / "request.yaml", overrides={"seed": 5, "steps": 2})
    pipeline.run(request, folder / "expected")
    return folder / "expected"


def monai(*arguments, cwd):
    """`python -m monai.bundle`, as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "monai.bundle", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_here(config, **options):
    """The same without the seconds of starting Python; the test's logging is left alone."""
    try:
        monai_bundle.run(config_file=str(config), logging_file=False, **options)
    except RuntimeError as error:  # MONAI's, around that of the object that it built
        raise of_the_user(error) from None


def assert_same_image(out, expected):
    ours, theirs = (sitk.ReadImage(str(f / "image.nrrd")) for f in (out, expected))
    assert np.array_equal(*map(sitk.GetArrayFromImage, (ours, theirs)))
    assert ours.GetPixelID() == theirs.GetPixelID()
    for geometry in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(ours, geometry)() == getattr(theirs, geometry)()


def test_the_command_line_makes_the_same_image_bit_for_bit(folder, expected):
    out = folder / "out"
    done = monai(
        "run",
        *("--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"),
        *("--request", folder / "request.yaml", "--out", out, "--seed", 5, "--steps", 2),
        *("--progress", "json"),
        cwd=BUNDLE,
    )
    assert done.returncode == 0, done.stderr
    assert_same_image(out, expected)
    assert (out / "request.yaml").read_text() == (expected / "request.yaml").read_text()
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in expected.iterdir())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    sampled = [e["done"] for e in events if e["kind"] == "progress" and e["stage"] == "sampling"]
    assert sampled == [1, 2, 3, 4]
    assert events[-1]["kind"] == "result"


def test_monai_verifies_the_network_of_the_bundle():
    if not SHIPPED.exists():
        pytest.skip(f"needs the shipped weights {SHIPPED}")
    done = monai(
        *("verify_net_in_out", "network_def", "--device", "cpu"),
        *("--config_file", "monai_bundle/configs/inference.json"),
        *("--meta_file", "monai_bundle/configs/metadata.json"),
        cwd=BUNDLE.parent,
    )
    assert done.returncode == 0, done.stderr
    assert "verified with no error" in done.stdout + done.stderr


def test_every_object_can_be_replaced_from_python(folder, expected, tmp_path):
    """The sampler by id, and the image changes; the rest stays what the request says."""
    workflow = monai_bundle.ConfigWorkflow(
        config_file=str(INFERENCE),
        logging_file=False,
        workflow_type="infer",
        request=str(folder / "request.yaml"),
        out=str(tmp_path / "ddim"),
        seed=5,
        steps=2,
        sampler={"_target_": "medsynth.diffusion.samplers.ddim.DDIM"},
        progress="none",
    )
    workflow.initialize()
    generator = workflow.parser.get_parsed_content("generator")
    assert isinstance(generator, GuidedDiffusion)
    assert isinstance(generator.denoiser.network, PatchUNet)
    workflow.run()
    with pytest.raises(AssertionError):
        assert_same_image(tmp_path / "ddim", expected)
    result = json.loads((tmp_path / "ddim" / "result.json").read_text())
    assert result["sampler"] == "ddim"
    assert result["checkpoint"] == json.loads((expected / "result.json").read_text())["checkpoint"]


OWN_GUIDANCE = """
from medsynth.diffusion.guidance import ReferenceGuidance


class Loose(ReferenceGuidance):
    def reference(self, name, image, factor, **options):
        return super().reference(name, image, 2 * factor, **options)
"""


def test_guidance_of_ones_own_takes_the_place_of_ours(folder, expected, tmp_path, monkeypatch):
    (tmp_path / "own_guidance.py").write_text(OWN_GUIDANCE)
    monkeypatch.syspath_prepend(tmp_path)
    workflow = monai_bundle.ConfigWorkflow(
        config_file=str(INFERENCE),
        logging_file=False,
        workflow_type="infer",
        request=str(folder / "request.yaml"),
        out=str(tmp_path / "own"),
        seed=5,
        steps=2,
        guidance={"_target_": "own_guidance.Loose"},
        slices_per_batch=2,
        progress="none",
    )
    workflow.initialize()
    generator = workflow.parser.get_parsed_content("generator")
    assert (type(generator.guidance).__name__, generator.batch) == ("Loose", 2)
    workflow.run()
    with pytest.raises(AssertionError):
        assert_same_image(tmp_path / "own", expected)


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("precision", "half"), ("channels_last", "yes"), ("compile", 1), ("slices_per_batch", 0)],
)
def test_settings_of_the_network_act_or_are_refused(folder, option, wrong):
    options = {"request": str(folder / "request.yaml"), "out": "x"}
    with pytest.raises(ValueError, match=option):
        run_here(INFERENCE, **options, **{option: wrong})
    parser = monai_bundle.ConfigParser()
    parser.read_config(str(INFERENCE))
    parser.update(options | {"precision": "float32", "channels_last": False})
    denoiser = parser.get_parsed_content("denoiser")
    assert denoiser.dtype == torch.float32
    weight = max(denoiser.network.parameters(), key=lambda p: p.ndim * p.numel())
    assert weight.is_contiguous()


def test_the_seed_matters(folder, expected):
    """Else the comparison above would not notice a dropped override."""
    run_here(INFERENCE, request=str(folder / "request.yaml"), out=str(folder / "seed1"), steps=2)
    with pytest.raises(AssertionError):
        assert_same_image(folder / "seed1", expected)


def test_every_option_reaches_the_request(folder, monkeypatch, tmp_path):
    """Also weights named from where the user stands, which is not the request's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    seen = []
    monkeypatch.setattr(
        inference, "run", lambda request, out, **kw: seen.append((request, out, kw))
    )
    run_here(
        INFERENCE,
        request=str(folder / "request.yaml"),
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
def test_a_wrong_option_is_refused(folder, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    if options.get("request") == "REQUEST":
        options = options | {"request": str(folder / "request.yaml")}
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
def test_a_refusal_of_the_command_line_is_one_line_and_code_2(folder, tmp_path, option, message):
    given = [word for pair in option.items() for word in pair]
    request = ("--request", folder / "request.yaml", "--out", "x")
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


def test_training_is_the_commands_trainer(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 400, (2, 512, 512))
    write_series(
        sitk.GetImageFromArray(values.astype(np.float32)),
        tmp_path / "data/P1/ct",
        preset=presets.get("lung_ct"),
        job=ExportJob("test-job", title="made up"),
        derivation="Made for a test.",
    )
    recipe = {
        "preset": "lung_ct",
        "network": NETWORK | {"image_size": [512, 512]},
        "phases": [{"crop": 32, "batch_size": 1, "steps": 5}],
        "workers": 0,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run_here(
        TRAIN,
        recipe=str(tmp_path / "recipe.yaml"),
        dataset_dir=str(tmp_path / "data"),
        out=str(tmp_path / "run"),
        stop_at=2,
        device="cpu",
        set="seed=4",
    )
    changed = {"data.root": str(tmp_path / "data"), "seed": 4}
    expected = load_recipe(tmp_path / "recipe.yaml", overrides=changed)
    slices = load_slices(expected.data, preset=presets.get("lung_ct"))
    trainer = Trainer(expected, slices, run=tmp_path / "expected")
    trainer.train(limits=Limits(step=2))
    assert (tmp_path / "run/weights.safetensors").read_bytes() == trainer.weights.read_bytes()


class Recorded:
    """Stands for an object of a config: what it was built with, and that it ran."""

    def __init__(self, **given):
        self.given = given
        Recorded.last = self

    def run(self):
        self.ran = True


def config_of(path, **options):
    """A config with what a weights file and a recipe would need many seconds for."""
    parser = monai_bundle.ConfigParser()
    parser.read_config(str(path))
    parser.update({"network_def": None, "denoiser": None, **options})
    return parser


def test_every_option_of_refining_reaches_the_object(monkeypatch, folder):
    monkeypatch.chdir(folder)
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
        overrides={"data.root": str(folder / "films"), "refinement.steps": 7, "seed": 4},
    )
    assert given["recipe"] == recipe
    assert (given["out"], given["start_from"]) == (Path("there"), Path("other.safetensors"))
    assert given["weights"] == folder / "tiny.safetensors"
    assert given["metadata"] == read_metadata(folder / "tiny.safetensors")
    assert (given["limits"].minutes, given["limits"].step, given["threads"]) == (2.5, 3, 2)
    assert given["device"] == "cpu"
    assert given["images"].keywords["recipe"] == recipe


def test_every_option_of_evaluation_reaches_the_object(monkeypatch, folder):
    monkeypatch.chdir(folder)
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
    assert given["recipe"] == load_recipe("lung_ct", overrides={"data.root": str(folder / "films")})
    assert (given["out"], given["imagenet"]) == (Path("there"), Path("resnet.pth"))
    assert given["weights"] == folder / "tiny.safetensors"
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


def test_monai_notices_metadata_that_do_not_fit_the_network(folder):
    wrong = {"_meta_#network_data_format#outputs#pred#num_channels": 2}
    options = {
        "net_id": "network_def",
        "config_file": str(INFERENCE),
        "meta_file": str(BUNDLE / "configs/metadata.json"),
        "device": "cpu",
        "weights": str(folder / "tiny.safetensors"),
        "_meta_#network_data_format#inputs#image#spatial_shape": [64, 64],
    }
    monai_bundle.verify_net_in_out(**options)
    with pytest.raises(ValueError, match="output channel number `1`"):
        monai_bundle.verify_net_in_out(**options, **wrong)


def test_the_config_says_everything_of_the_generator_that_a_request_says():
    """Else a value of the request would be ignored by the bundle alone."""
    config = json.loads(INFERENCE.read_text())["generator"]
    assert set(config) - {"_target_"} == {field.name for field in fields(GuidedDiffusion)}


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(SHIPPED.parent.glob("*.safetensors")), ids=lambda f: f.stem)
def test_monai_verifies_every_shipped_network(file):
    side = read_metadata(file)["network"]["image_size"]
    monai_bundle.verify_net_in_out(
        net_id="network_def",
        config_file=str(INFERENCE),
        meta_file=str(BUNDLE / "configs/metadata.json"),
        device="cpu",
        weights=str(file),
        **{"_meta_#network_data_format#inputs#image#spatial_shape": side},
        **{"_meta_#network_data_format#outputs#pred#spatial_shape": side},
    )


@pytest.mark.slow
@torch.inference_mode()
def test_monai_loads_the_network_of_the_bundle(tmp_path):
    """`monai.bundle.load` wants a state dict of torch.save: `medsynth models export` writes it."""
    if not SHIPPED.exists():
        pytest.skip(f"needs the shipped weights {SHIPPED}")
    shutil.copytree(BUNDLE / "configs", tmp_path / "mine/configs")
    (tmp_path / "mine/models").mkdir()
    model = tmp_path / "mine/models/model.pt"
    assert cli.main(["models", "export", str(SHIPPED), "-o", str(model), "--progress=none"]) == 0
    loaded = monai_bundle.load("mine", bundle_dir=tmp_path, workflow_type="inference", device="cpu")
    x, t = torch.randn(1, 1, 64, 64), torch.tensor([500.0])
    assert isinstance(loaded, PatchUNet)
    assert torch.equal(loaded(x, t), load_network(SHIPPED)[0](x, t))


def test_the_network_is_the_one_of_the_weights(folder):
    parser = monai_bundle.ConfigParser()
    parser.read_config(str(INFERENCE))
    parser["weights"] = str(folder / "tiny.safetensors")
    net = parser.get_parsed_content("network_def")
    assert isinstance(net, PatchUNet)
    assert net.config == PatchUNetConfig.from_dict(NETWORK)
    assert next(net.parameters()).dtype == torch.float32


def test_metadata_hold_what_the_schema_requires():
    metadata = json.loads((BUNDLE / "configs/metadata.json").read_text())
    words = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task")
    for key in (*words, "description", "authors", "copyright"):
        assert isinstance(metadata[key], str), key
        assert metadata[key], key
    assert metadata["version"] in metadata["changelog"]
    assert metadata["required_packages_version"]["medsynth-slicer"]
    tensors = {**metadata["network_data_format"]["inputs"]}
    tensors |= metadata["network_data_format"]["outputs"]
    for tensor in tensors.values():
        assert set(tensor) >= {"type", "format", "num_channels", "spatial_shape", "dtype"}
        assert isinstance(tensor["value_range"], list)
