"""The exported graph is the network, at every timestep; one that ignores t is not let through."""

import numpy as np
import pytest
import torch
from made_up_network import TINY, loud_network
from torch import nn

from medsynth.bundle import OnnxExport, export
from medsynth.networks import PatchUNetConfig

pytestmark = pytest.mark.slow
for module in export.MODULES:
    pytest.importorskip(module, reason="needs the extra medsynth-slicer[onnx]")
CONFIG = TINY | {
    "image_size": [64, 64],
    "attention_levels": [False, True],
    "reference_conditioned": True,
    "fine_channels": 8,
}


@pytest.fixture(scope="module")
def network():
    return loud_network(PatchUNetConfig.from_dict(CONFIG), std=0.1)


def test_the_graph_takes_the_timestep_as_an_input(network, tmp_path):
    import onnxruntime

    said = []
    out = OnnxExport(network, tmp_path / "net.onnx", size=[32, 48], listener=said.append).run()
    assert said[-1].data["error"] < 1e-4
    session = onnxruntime.InferenceSession(str(out))
    assert [i.name for i in session.get_inputs()] == ["x_t", "timesteps"]
    x = torch.randn(1, 1, 32, 48)
    results = []
    for t in (3.0, 700.25):
        feed = {"x_t": x.numpy(), "timesteps": np.array([t], np.float32)}
        results.append(session.run(None, feed)[0])
        with torch.inference_mode():
            wanted = network(x, torch.tensor([t])).numpy()
        np.testing.assert_allclose(results[-1], wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(results[0] - results[1]).max() > 0.01 * np.abs(results[0]).max()
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_a_graph_that_ignores_the_timestep_is_refused(network, tmp_path, monkeypatch):
    """What tracing with an image alone would write."""

    class Baked(nn.Module):
        def forward(self, x, timesteps):
            return network(x, 0 * timesteps)

    baked = OnnxExport(network, tmp_path / "net.onnx", size=[32, 32])
    export_of = torch.onnx.export
    monkeypatch.setattr(torch.onnx, "export", lambda net, *a, **k: export_of(Baked(), *a, **k))
    with pytest.raises(ValueError, match="the ONNX graph is off the network by"):
        baked.run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [[30, 32], [32], "32", [32, True]])
def test_a_size_that_the_network_cannot_take_is_refused(network, size):
    with pytest.raises(ValueError, match=r"size: expected \[H, W\], multiples of 8"):
        OnnxExport(network, "net.onnx", size=size)


def test_an_existing_file_stays(network, tmp_path):
    (tmp_path / "net.onnx").write_text("mine")
    with pytest.raises(OSError, match="net.onnx"):
        OnnxExport(network, tmp_path / "net.onnx").run()
    assert (tmp_path / "net.onnx").read_text() == "mine"
