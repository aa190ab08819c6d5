"""The patchified network and the weights files that describe themselves."""

import json
import os
import platform
from pathlib import Path

import pytest
import torch
from made_up_network import card, small
from safetensors.torch import load_file, save_file

from medsynth.diffusion.denoiser import Conditioning
from medsynth.errors import CheckpointError
from medsynth.networks import (
    PatchUNet,
    load_denoiser,
    load_network,
    read_metadata,
    save_weights,
    sha256,
)
from medsynth.networks.checkpoint import fastest_dtype

CONFIG = small(64, patch_size=2)
CARD = card(CONFIG)


def network(config=CONFIG):
    torch.manual_seed(0)
    built = PatchUNet(config).eval()
    for parameter in built.parameters():  # the last layer starts at zero and would hide everything
        torch.nn.init.normal_(parameter, std=0.05)
    return built


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "net.safetensors"
    save_weights(network().state_dict(), path, metadata=CARD)
    return path


@torch.inference_mode()
def test_timesteps_none_is_t_0():
    net, x = network(), torch.randn(2, 1, 32, 32)
    assert torch.equal(net(x), net(x, torch.zeros(2)))


@torch.inference_mode()
def test_sides_that_are_no_multiple_are_continued_and_cut():
    net = network()
    x = torch.randn(1, 1, 31, 30)
    padded = torch.nn.functional.pad(x, (0, 2, 0, 1), mode="replicate")
    assert torch.equal(net(x, torch.ones(1)), net(padded, torch.ones(1))[..., :31, :30])


@torch.inference_mode()
def test_a_crop_knows_where_it_is():
    net, x = network(), torch.randn(1, 1, 32, 32)
    corner, center = torch.zeros(1, 2), torch.full((1, 2), 16.0)
    assert torch.equal(net(x, torch.ones(1)), net(x, torch.ones(1), origin=center))
    assert not torch.equal(net(x, torch.ones(1)), net(x, torch.ones(1), origin=corner))


@torch.inference_mode()
def test_no_conditioning_is_a_factor_of_0_and_a_conditioning_changes_the_output():
    net, x = network(), torch.randn(1, 1, 32, 32)
    low_pass_image = torch.randn(1, 1, 32, 32)
    nothing = Conditioning(low_pass_image, torch.zeros_like(low_pass_image))
    conditioned = Conditioning(low_pass_image, torch.full_like(low_pass_image, 8.0))
    assert torch.equal(net(x, torch.ones(1)), net(x, torch.ones(1), conditioning=nothing))
    assert not torch.equal(net(x, torch.ones(1)), net(x, torch.ones(1), conditioning=conditioned))


def test_weights_come_back_in_half_precision(weights):
    loaded, metadata = load_network(weights)
    assert metadata == CARD
    for key, value in network().state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1e-3, atol=1e-5)


def test_the_denoiser_is_what_the_card_says(weights):
    denoiser = load_denoiser(weights, dtype=torch.float32)
    assert denoiser.prediction_type == "v_prediction"
    assert denoiser.reference_conditioned
    assert denoiser.schedule.num_train_timesteps == 1000


def test_missing_weights(tmp_path):
    with pytest.raises(CheckpointError, match="no weights at"):
        read_metadata(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_truncated_weights(weights, keep):
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(weights)


def test_random_bytes_are_no_weights(tmp_path):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path)


def test_weights_of_another_network_than_the_header_describes(weights):
    other = {**CARD, "network": {**CARD["network"], "channels": [64, 64]}}
    save_file(load_file(weights), weights, metadata={"medsynth": json.dumps(other)})
    with pytest.raises(CheckpointError, match="does not hold the network"):
        load_network(weights)


def test_weights_that_are_not_finite(tmp_path):
    state = network().state_dict()
    next(iter(state.values()))[0] = float("nan")
    save_weights(state, tmp_path / "nan.safetensors", metadata=CARD)
    with pytest.raises(CheckpointError, match="not finite"):
        load_network(tmp_path / "nan.safetensors")


def test_a_card_must_be_complete(tmp_path):
    with pytest.raises(ValueError, match="lacks license"):
        save_weights({}, tmp_path / "x", metadata={k: v for k, v in CARD.items() if k != "license"})


def test_the_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize("schedule", [{"kind": "none"}, {"kind": "cosine", "speed": 3}, {}])
def test_a_schedule_that_cannot_be_built(tmp_path, schedule):
    path = tmp_path / "net.safetensors"
    save_weights(network().state_dict(), path, metadata=CARD | {"schedule": schedule})
    with pytest.raises(CheckpointError, match="noise schedule"):
        load_denoiser(path)


def test_weights_can_be_read_by_whom_the_umask_lets(weights):
    umask = os.umask(0)
    os.umask(umask)
    assert weights.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists() or platform.machine() != "x86_64",
    reason="asks Linux what an x86 processor can do",
)
def test_bfloat16_only_where_the_processor_has_it():
    flags = Path("/proc/cpuinfo").read_text().split()
    has = "avx512_bf16" in flags or "amx_bf16" in flags
    assert fastest_dtype("cpu") == (torch.bfloat16 if has else torch.float32)
