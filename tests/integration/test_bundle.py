"""The MONAI bundle does what the `medsynth` commands do, bit for bit, and refuses what cannot act."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from bundle_configs import (
    BUNDLE,
    INFERENCE,
    NETWORK,
    SHIPPED,
    TRAIN,
    assert_same_image,
    monai,
    monai_bundle,
    run_here,
)

from medsynth import domains as presets
from medsynth.cli import app as cli
from medsynth.datasets.data import load_slices
from medsynth.dicom import ExportJob, write_series
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import PatchUNet, PatchUNetConfig, load_network, read_metadata
from medsynth.training.recipe import load_recipe
from medsynth.training.trainer import Limits, Trainer


def test_the_command_line_makes_the_same_image_bit_for_bit(bundle_folder, bundle_expected):
    out = bundle_folder / "out"
    done = monai(
        "run",
        *("--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"),
        *("--request", bundle_folder / "request.yaml", "--out", out, "--seed", 5, "--steps", 2),
        *("--progress", "json"),
        cwd=BUNDLE,
    )
    assert done.returncode == 0, done.stderr
    assert_same_image(out, bundle_expected)
    assert (out / "request.yaml").read_text() == (bundle_expected / "request.yaml").read_text()
    assert sorted(p.name for p in out.iterdir()) == sorted(
        p.name for p in bundle_expected.iterdir()
    )
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


def workflow_with(folder, out, **objects):
    """MONAI's workflow of the request in `folder`, and the generator that it built."""
    workflow = monai_bundle.ConfigWorkflow(
        config_file=str(INFERENCE),
        logging_file=False,
        workflow_type="infer",
        request=str(folder / "request.yaml"),
        out=str(out),
        seed=5,
        steps=2,
        progress="none",
        **objects,
    )
    workflow.initialize()
    return workflow, workflow.parser.get_parsed_content("generator")


def test_every_object_can_be_replaced_from_python(bundle_folder, bundle_expected, tmp_path):
    """The sampler by id, and the image changes; the rest stays what the request says."""
    sampler = {"_target_": "medsynth.diffusion.samplers.ddim.DDIM"}
    workflow, generator = workflow_with(bundle_folder, tmp_path / "ddim", sampler=sampler)
    assert isinstance(generator, GuidedDiffusion)
    assert isinstance(generator.denoiser.network, PatchUNet)
    workflow.run()
    with pytest.raises(AssertionError):
        assert_same_image(tmp_path / "ddim", bundle_expected)
    result = json.loads((tmp_path / "ddim" / "result.json").read_text())
    assert result["sampler"] == "ddim"
    assert (
        result["checkpoint"]
        == json.loads((bundle_expected / "result.json").read_text())["checkpoint"]
    )


OWN_GUIDANCE = """
from medsynth.diffusion.guidance import ReferenceGuidance


class Loose(ReferenceGuidance):
    def reference(self, name, image, factor, **options):
        return super().reference(name, image, 2 * factor, **options)
"""


def test_guidance_of_ones_own_takes_the_place_of_ours(
    bundle_folder, bundle_expected, tmp_path, monkeypatch
):
    (tmp_path / "own_guidance.py").write_text(OWN_GUIDANCE)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"guidance": {"_target_": "own_guidance.Loose"}, "slices_per_batch": 2}
    workflow, generator = workflow_with(bundle_folder, tmp_path / "own", **own)
    assert (type(generator.guidance).__name__, generator.batch) == ("Loose", 2)
    workflow.run()
    with pytest.raises(AssertionError):
        assert_same_image(tmp_path / "own", bundle_expected)


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


def test_monai_notices_metadata_that_do_not_fit_the_network(bundle_folder):
    wrong = {"_meta_#network_data_format#outputs#pred#num_channels": 2}
    options = {
        "net_id": "network_def",
        "config_file": str(INFERENCE),
        "meta_file": str(BUNDLE / "configs/metadata.json"),
        "device": "cpu",
        "weights": str(bundle_folder / "tiny.safetensors"),
        "_meta_#network_data_format#inputs#image#spatial_shape": [64, 64],
    }
    monai_bundle.verify_net_in_out(**options)
    with pytest.raises(ValueError, match="output channel number `1`"):
        monai_bundle.verify_net_in_out(**options, **wrong)


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [f for f in sorted(SHIPPED.parent.glob("*.safetensors")) if "system" not in read_metadata(f)],
    ids=lambda f: f.stem,
)
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


def test_the_network_is_the_one_of_the_weights(bundle_folder):
    parser = monai_bundle.ConfigParser()
    parser.read_config(str(INFERENCE))
    parser["weights"] = str(bundle_folder / "tiny.safetensors")
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
