"""The U-Net on single pixels, and networks found by the name of their architecture."""

import pytest
import torch
from added_files import added
from made_up_network import SMALL, card

from medsynth.diffusion.conditioning import Conditioning
from medsynth.errors import CheckpointError
from medsynth.networks import PatchUNet, load_network, save_weights
from medsynth.networks.architectures import ARCHITECTURES, network_config
from medsynth.networks.pixel_unet import PixelUNet, PixelUNetConfig

CONFIG = PixelUNetConfig(image_size=(64, 64), channels=(4, 6, 8), middle_blocks=2, noise_level=True)
# How far a pixel sees: two convolutions a block, the coarser ones twice and four times as far.
REACH = 48


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    built = CONFIG.build()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return built.eval()


def conditioning(size, *, noise_level=None, value=0.3, factor=8.0):
    full = torch.ones(1, 1, *size)
    return Conditioning(value * full, factor * full, noise_level)


@torch.inference_mode()
def test_what_it_hears_changes_what_it_says(network):
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    said = [
        network(x, torch.tensor([float(t)]), conditioning=heard)
        for t, heard in [
            (500, None),
            (100, None),
            (500, conditioning((32, 32))),
            (500, conditioning((32, 32), factor=4.0)),
            (500, conditioning((32, 32), value=0.5)),
            (500, conditioning((32, 32), noise_level=torch.tensor([[1.0, -1.0]]))),
        ]
    ]
    for a in range(len(said)):
        for b in range(a):
            assert not torch.allclose(said[a], said[b])
    # Where no reference acts, its values are not looked at.
    nothing = conditioning((32, 32), value=0.9, factor=0.0)
    assert torch.equal(network(x, torch.tensor([500.0]), conditioning=nothing), said[0])


@torch.inference_mode()
def test_any_size_and_a_crop_as_the_whole_image(network):
    x = torch.randn(1, 1, 143, 129, generator=torch.Generator().manual_seed(0))
    whole = network(x, torch.tensor([300.0]))
    assert whole.shape == x.shape
    crop = network(x[..., 8:136, :], torch.tensor([300.0]))
    inside = slice(8 + REACH, 136 - REACH)
    assert torch.allclose(whole[..., inside, :], crop[..., REACH:-REACH, :], atol=1e-4)
    # And that is not because it looks at its own pixel only.
    other = x.clone()
    other[..., 70, 60] += 1
    changed = network(other, torch.tensor([300.0]))[0, 0] != whole[0, 0]
    assert changed[70, 40:80].sum() > 20


def test_a_file_brings_its_architecture(network, tmp_path):
    path = tmp_path / "pixels.safetensors"
    save_weights(network.state_dict(), path, metadata=card(CONFIG))
    loaded, metadata = load_network(path)
    assert isinstance(loaded, PixelUNet)
    assert loaded.config == CONFIG
    assert network_config(metadata["network"]) == CONFIG
    assert network_config(SMALL.to_dict()) == SMALL  # without a name: the first there was
    assert isinstance(
        network_config({**SMALL.to_dict(), "architecture": "patch_unet"}).build(), PatchUNet
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"architecture": "pixel_unit"}, "did you mean pixel_unet"),
        ({"architecture": 5}, "no network architecture 5"),
        ({"architecture": "pixel_unet", "patch_size": 4}, "patch_size"),
        ({"architecture": "pixel_unet", "channels": []}, "must be above 0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(network, tmp_path, values, complaint):
    path = tmp_path / "wrong.safetensors"
    save_weights(network.state_dict(), path, metadata=card(CONFIG) | {"network": values})
    with pytest.raises(CheckpointError, match=complaint):
        load_network(path)


ONE_PIXEL = '''
"""Nothing but one number."""

from medsynth.networks.pixel_unet import PixelUNetConfig
from medsynth.registry import Method

ARCHITECTURE = Method(title="The least", make=lambda values: PixelUNetConfig(channels=(1,)))
'''


def test_an_architecture_is_one_file(tmp_path):
    with added(ARCHITECTURES, "least", ONE_PIXEL, tmp_path / "more"):
        assert network_config({"architecture": "least"}).multiple == 1
    with pytest.raises(ValueError, match="no network architecture 'least'"):
        network_config({"architecture": "least"})
