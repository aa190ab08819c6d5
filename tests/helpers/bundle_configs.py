"""The configs of the bundle, a request and a network for them, and how they are run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from made_up_network import TINY

from medsynth import domains as presets
from medsynth import pipeline
from medsynth.bundle.options import of_the_user
from medsynth.networks import PatchUNet, PatchUNetConfig, save_weights
from medsynth.request import load_request

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


def made_by_library(folder):
    """What the library makes of the request in `folder` with seed 5 and 2 steps."""
    request = load_request(folder / "request.yaml", overrides={"seed": 5, "steps": 2})
    pipeline.run(request, folder / "expected")
    return folder / "expected"


def fill(folder):
    """A request, and the weights of a small network of the shipped network's kind."""
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
