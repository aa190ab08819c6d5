"""What the tests of the refiner share: a small network, paired crops, settings."""

import made_up_network
import numpy as np
import torch
from made_up_network import SMALL as NETWORK
from made_up_network import noisy_slices
from torch import nn

from medsynth import domains as presets
from medsynth.diffusion.guidance import low_pass
from medsynth.networks import read_metadata
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.training.recipe import Refinement
from medsynth.training.refinement.paired_crops import PairedCrops
from medsynth.training.refinement.trainer import RefinementTrainer

PRESET = presets.get("lung_ct")
SMALL = RefinerConfig(channels=(8, 12), blocks=1, fine_channels=4, factor=4)
OPTIONS = Refinement(
    images=12,
    crop=32,
    factors=(4, 8),
    weights=(0.5, 0.5),
    sampling_steps=2,
    network={"channels": [8, 12], "fine_channels": 4},
    steps=6,
    batch_size=4,
    patch=16,
    warmup=1,
    checkpoint_every=2,
)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made_slices():
    return noisy_slices(low=-700, size=(48, 40))


def save_network(folder):
    """A network file as `medsynth train` writes it."""
    return made_up_network.save_network(folder / "network.safetensors", NETWORK)


def trainer(weights, paired_crops, run, *, start_from=None, **changes):
    options = Refinement(**{**vars(OPTIONS), **changes})
    return RefinementTrainer(
        options,
        paired_crops,
        preset=PRESET,
        weights=weights,
        metadata=read_metadata(weights),
        run=run,
        made_by={"weights": "w"},
        start_from=start_from,
    )


def made_paired_crops():
    """Real patches of smooth noise; synthetic ones with a fine pattern on top, that nobody asked for."""
    smooth = low_pass.build("dct", size=(32, 32), factor=4)(noise(24, 1, 32, 32)) * 0.2
    grain = noise(24, 1, 32, 32, seed=1) * 0.02
    pattern = 0.05 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    return PairedCrops(smooth + grain + pattern, smooth + grain, np.full(24, 4))


def loud(config=SMALL):
    """A refiner that changes a lot."""
    torch.manual_seed(0)
    refiner = Refiner(config)
    nn.init.normal_(refiner.last.weight, std=1.0)
    return refiner.requires_grad_(False)
