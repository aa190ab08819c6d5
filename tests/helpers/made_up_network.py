"""The small networks that tests make up, their weights files and the images they are trained on."""

from dataclasses import replace

import numpy as np
import torch

from medsynth.datasets.data import Slices
from medsynth.networks import PatchUNet, PatchUNetConfig, save_weights

# As a recipe writes it.
TINY = {
    "image_size": [32, 32],
    "patch_size": 4,
    "channels": [32, 32],
    "attention_levels": [False, False],
    "num_res_blocks": 1,
    "num_head_channels": 32,
}
SMALL = PatchUNetConfig.from_dict(TINY | {"patch_size": 2, "reference_conditioned": True})


def small(side, *, patch_size=4, **changes):
    """The same for images of another size: `side` is both, or (H, W)."""
    size = (side, side) if isinstance(side, int) else side
    return replace(SMALL, image_size=size, patch_size=patch_size, **changes)


def card(config, **changes):
    """What a weights file says of itself."""
    return {
        "network": config.to_dict(),
        "schedule": {"kind": "log_snr_linear"},
        "prediction_type": "v_prediction",
        "preset": "lung_ct",
        "data": "made up",
        "license": "none",
        **changes,
    }


def loud_network(config, *, std):
    """A network whose last layers matter, which begin at zero in an untrained one."""
    torch.manual_seed(0)
    network = PatchUNet(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return network.eval()


def save_network(path, config, *, std=None, **changes):
    """A weights file of the untrained network, or of a loud one."""
    torch.manual_seed(0)
    network = PatchUNet(config) if std is None else loud_network(config, std=std)
    save_weights(network.state_dict(), path, metadata=card(config, **changes))
    return path


def noisy_slices(seed=0, *, low=-900, size=(32, 32)):
    """Six slices of two people."""
    images = np.random.default_rng(seed).integers(low, 100, (6, *size)).astype(np.int16)
    return Slices(images, ("a",) * 3 + ("b",) * 3, ("a/1",) * 3 + ("b/1",) * 3)
