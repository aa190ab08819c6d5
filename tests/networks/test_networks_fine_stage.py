"""The fine stage of the patchified network, and networks that grow one in mid-training."""

from dataclasses import replace

import pytest
import torch
from made_up_network import small

from medsynth.diffusion.denoiser import Conditioning
from medsynth.errors import CheckpointError
from medsynth.networks import PatchUNet, load_network, save_weights
from medsynth.training.warm_start import warm_start

COARSE = small(64)
FINE = replace(COARSE, fine_channels=8, fine_patch_size=2, fine_blocks=2)
CARD = {
    "schedule": {"kind": "log_snr_linear"},
    "prediction_type": "v_prediction",
    "preset": "lung_ct",
    "data": "made up",
    "license": "none",
}


def network(config, *, zero_start=False):
    """As begun (the last layer of the fine stage at zero), or as after some training."""
    torch.manual_seed(0)
    built = PatchUNet(config)
    for name, parameter in built.named_parameters():
        if not (zero_start and name.startswith("fine.")):
            torch.nn.init.normal_(parameter, std=0.05)
    return built


def inputs(height=32, width=32):
    generator = torch.Generator().manual_seed(1)
    x, low_pass_image = torch.randn(2, 2, 1, height, width, generator=generator)
    conditioning = Conditioning(low_pass_image, torch.full_like(low_pass_image, 8.0))
    return x, torch.tensor([3.0, 700.0]), conditioning


@pytest.mark.parametrize("learned", [False, True])
@torch.inference_mode()
def test_a_fine_stage_begins_as_nothing(learned):
    fine = network(replace(FINE, learned_variance=learned), zero_start=True)
    coarse = PatchUNet(replace(COARSE, learned_variance=learned))
    state = fine.state_dict()
    coarse.load_state_dict({k: v for k, v in state.items() if not k.startswith("fine.")})
    x, t, conditioning = inputs()
    assert torch.equal(
        fine(x, t, conditioning=conditioning), coarse(x, t, conditioning=conditioning)
    )


def test_the_gradient_reaches_all_of_it():
    """At first only the last layer, whose zeros hide the others; then every parameter."""
    net = network(FINE, zero_start=True)
    x, t, conditioning = inputs()
    net(x, t, conditioning=conditioning).square().mean().backward()
    assert net.fine.last.weight.grad.abs().sum() > 0
    with torch.no_grad():
        net.fine.last.weight.add_(0.01)
    net.zero_grad()
    net(x, t, conditioning=conditioning).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("learned", [False, True])
@torch.inference_mode()
def test_odd_sides_are_continued_and_cut(learned):
    net = network(replace(FINE, learned_variance=learned)).eval()
    x, t, conditioning = inputs(31, 27)
    out = net(x, t, conditioning=conditioning)
    assert out.shape == (2, 2 if learned else 1, 31, 27)

    def padded(image):
        return torch.nn.functional.pad(image, (0, 5, 0, 1), mode="replicate")

    conditioned = Conditioning(padded(conditioning.low_pass_image), padded(conditioning.factor_map))
    assert torch.equal(out, net(padded(x), t, conditioning=conditioned)[..., :31, :27])


@pytest.mark.parametrize(("patch", "fine_patch", "multiple"), [(4, 2, 8), (2, 4, 4), (4, 3, 24)])
@torch.inference_mode()
def test_any_fine_patch_fits_the_padding(patch, fine_patch, multiple):
    """The fine patch need not divide the coarse one."""
    config = replace(FINE, patch_size=patch, fine_patch_size=fine_patch)
    assert config.multiple == multiple
    x, t, conditioning = inputs(20, 22)
    assert network(config)(x, t, conditioning=conditioning).shape == (2, 1, 20, 22)


@torch.inference_mode()
def test_the_fine_stage_sees_the_variance_apart_from_the_mean():
    """Its two channels are corrected each for itself: zeroing one half leaves the other."""
    net = network(replace(FINE, learned_variance=True)).eval()
    x, t, conditioning = inputs()
    whole = net(x, t, conditioning=conditioning)
    net.fine.last.weight[:4] = 0
    net.fine.last.bias[:4] = 0
    half = net(x, t, conditioning=conditioning)
    assert torch.equal(half[:, 1], whole[:, 1])
    assert not torch.equal(half[:, 0], whole[:, 0])


@torch.inference_mode()
def test_no_conditioning_is_a_conditioning_of_nothing():
    net = network(FINE).eval()
    x, t, conditioning = inputs()
    nothing = Conditioning(conditioning.low_pass_image, torch.zeros_like(conditioning.factor_map))
    assert torch.equal(net(x, t), net(x, t, conditioning=nothing))
    assert not torch.equal(net(x, t), net(x, t, conditioning=conditioning))


@torch.inference_mode()
def test_a_plain_network_can_have_one_too():
    net = network(replace(FINE, reference_conditioned=False)).eval()
    x, t, _ = inputs()
    assert net(x, t).shape == x.shape


@torch.inference_mode()
def test_the_correction_follows_the_noise_level():
    net = network(FINE).eval()
    x, _, conditioning = inputs()
    output, conditionings = torch.zeros_like(x), torch.zeros(2, 5, 16, 16)
    early, late = (
        net.fine(x, output, [conditionings], torch.full((2,), value)) for value in (10.0, 900.0)
    )
    assert not torch.equal(early, late)


def saved(config, tmp_path):
    path = tmp_path / "old.safetensors"
    save_weights(network(config).state_dict(), path, metadata=CARD | {"network": config.to_dict()})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fine_channels": 8, "fine_blocks": 1},
        {"image_size": (128, 96)},
        {"fine_channels": 8, "image_size": (32, 64)},
    ],
    ids=["same", "fine stage", "larger frame", "both"],
)
@torch.inference_mode()
def test_a_grown_network_computes_what_the_old_one_does(tmp_path, changes):
    path = saved(COARSE, tmp_path)
    old, _ = load_network(path)
    new = warm_start(path, replace(COARSE, **changes)).eval()
    for size in ((32, 32), (64, 48)):
        x, t, conditioning = inputs(*size)
        torch.testing.assert_close(
            new(x, t, conditioning=conditioning),
            old(x, t, conditioning=conditioning),
            atol=1e-5,
            rtol=1e-4,
        )


@torch.inference_mode()
def test_a_crop_of_a_larger_frame_lies_where_it_lay(tmp_path):
    """Corners are counted from the frame's corner; frames lie centered in each other."""
    path = saved(COARSE, tmp_path)
    old, _ = load_network(path)
    new = warm_start(path, replace(COARSE, image_size=(128, 96))).eval()
    x, t, conditioning = inputs(16, 16)
    corner = torch.tensor([[0.0, 8.0], [40.0, 4.0]])
    there = old(x, t, conditioning=conditioning, origin=corner)
    here = new(x, t, conditioning=conditioning, origin=corner + torch.tensor([32.0, 16.0]))
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_trained_fine_stage_comes_along(tmp_path):
    path = saved(FINE, tmp_path)
    old, _ = load_network(path)
    x, t, conditioning = inputs()
    new = warm_start(path, FINE).eval()
    assert torch.equal(new(x, t, conditioning=conditioning), old(x, t, conditioning=conditioning))
    with pytest.raises(CheckpointError, match="fine_channels 8 there, 16 here"):
        warm_start(path, replace(FINE, fine_channels=16))


def test_another_network_is_refused_by_what_differs(tmp_path):
    path = saved(COARSE, tmp_path)
    with pytest.raises(CheckpointError, match=r"channels \[32, 32\] there, \[32, 64\] here"):
        warm_start(path, replace(COARSE, channels=(32, 64)))
