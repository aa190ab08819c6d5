"""The network that TensorRT is given is the network; without TensorRT the config is refused.

No engine is built here: that needs a CUDA device. What can be held without one is that the module which
MONAI compiles computes what the network does, and that ONNX, the way to TensorRT, keeps it.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_network import TINY, loud_network

from medsynth.bundle import tensorrt
from medsynth.diffusion.conditioning import Conditioning
from medsynth.errors import MissingExtra
from medsynth.networks import PatchUNetConfig

monai_bundle = pytest.importorskip("monai.bundle")
CONFIGS = Path(__file__).resolve().parents[2] / "monai_bundle/configs"
CONFIG = TINY | {
    "attention_levels": [False, True],
    "reference_conditioned": True,
    "noise_level": True,
}


@pytest.fixture(scope="module")
def network():
    return loud_network(PatchUNetConfig.from_dict(CONFIG), std=0.1)


@pytest.fixture
def conditioning():
    noise_level = torch.tensor([[0.5, -1.0], [1.0, 0.2]])
    image = torch.rand(2, 1, 32, 32)
    return Conditioning(image, torch.full_like(image, 8.0), noise_level)


@pytest.fixture
def compiled(network, tmp_path, monkeypatch):
    """A network whose engines are only asked for."""
    asked = []

    def remember(module, path, *, args):
        asked.append((Path(path).name, args))
        return module

    monkeypatch.setattr(tensorrt, "check_tensorrt", lambda: None)
    monkeypatch.setattr(tensorrt, "trt_compile", remember)
    weights = tmp_path / "weights"
    weights.write_bytes(b"any")
    network = tensorrt.TensorRTNetwork(
        network, weights, engines=tmp_path / "engines", precision="bf16"
    )
    return network, asked


@torch.inference_mode()
def test_it_is_called_as_the_network_and_computes_the_same(network, compiled, conditioning):
    ours, asked = compiled
    x, t = torch.randn(2, 1, 32, 32), torch.tensor([3.0, 700.5])
    with_all = network(x, t, conditioning=conditioning)
    assert torch.equal(ours(x, t, conditioning=conditioning), with_all)
    assert torch.equal(ours(x, t), network(x, t))
    assert torch.equal(ours(x), network(x))
    assert not torch.allclose(with_all, network(x, t), rtol=0.1)
    without = Conditioning(conditioning.low_pass_image, conditioning.factor_map)
    assert torch.equal(ours(x, t, conditioning=without), network(x, t, conditioning=without))
    ours(x[:, :, :16], t)
    assert [name[16:] for name, _ in asked] == ["-bf16-2x1x32x32", "-bf16-2x1x16x32"]
    assert all(args == {"precision": "bf16"} for _, args in asked)


def test_without_tensorrt_or_cuda_it_is_refused(network, monkeypatch):
    monkeypatch.setattr(tensorrt, "PACKAGES", ("no_such_package",))
    with pytest.raises(MissingExtra, match=r"pip install no_such_package, or leave out inference"):
        tensorrt.TensorRTNetwork(network, "weights")
    monkeypatch.setattr(tensorrt, "PACKAGES", ("json",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="needs a CUDA device"):
        tensorrt.TensorRTNetwork(network, "weights")
    with pytest.raises(ValueError, match="trt_precision: expected fp32, tf32, fp16, bf16"):
        tensorrt.TensorRTNetwork(network, "weights", precision="int8")


def test_the_config_lies_over_that_of_inference():
    parser = monai_bundle.ConfigParser()
    files = [str(CONFIGS / name) for name in ("inference.json", "inference_trt.json")]
    parser.read_config(monai_bundle.ConfigParser.load_config_files(files))
    network = parser.get("network_def")
    assert network["_target_"] == "medsynth.bundle.TensorRTNetwork"
    assert network["network"] == json.loads((CONFIGS / "inference.json").read_text())["network_def"]
    assert parser.get("precision") == "float32"
    options = parser.get("initialize")[1]["options"]
    assert options[-2:] == ["trt_precision", "engines"]
    assert options[0] == "request"


@pytest.mark.slow
def test_the_graph_that_tensorrt_is_given_computes_what_the_network_does(network, conditioning):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.randn(2, 1, 32, 32)
    level = conditioning.noise_level
    given = (conditioning.low_pass_image, conditioning.factor_map, level)
    names = ["x", "timesteps", "low_pass_image", "factor_map", "noise_level"]
    program = torch.onnx.export(
        tensorrt.TensorInputs(network),
        (x, torch.tensor([1.0, 500.0]), *given),
        input_names=names,
        dynamo=True,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for t in ([0.0, 999.0], [250.5, 10.0]):
        inputs = (x, torch.tensor(t), *given)
        (got,) = session.run(None, {n: v.numpy() for n, v in zip(names, inputs, strict=True)})
        with torch.inference_mode():
            wanted = network(x, torch.tensor(t), conditioning=conditioning).numpy()
        np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())
