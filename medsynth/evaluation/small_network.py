"""The small networks that assess patches: strided convolutions and a mean over the patch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medsynth.networks.initial import placed, zero

WIDTH = 64


def small_network(
    channels: int,
    outputs: int,
    generator: torch.Generator,
    *,
    widths: Sequence[int] = (16, 32, WIDTH),
) -> nn.Sequential:
    """Patches (B, `channels`, S, S) to (B, `outputs`); all but the last layer give features.

    One convolution of stride 2 for each of `widths`; the last of them is the number of features.

    He's initial weights, drawn from `generator`. No normalization over a patch: how strong its texture
    is must stay visible.
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):  # the layers' own draws are replaced by the generator's
        for index, (before, after) in enumerate(itertools.pairwise((channels, *widths))):
            kernel = 3 if index else 5
            layers += [nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        network = nn.Sequential(*layers, *pool, nn.Linear(widths[-1], outputs))
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            zero(layer)
            nn.init.kaiming_normal_(layer.weight, generator=generator)
    return placed(network)


def scale_of(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of (B, C, S, S), (1, C, 1, 1)."""
    return (
        patches.mean(dim=(0, 2, 3), keepdim=True),
        patches.std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-6),
    )
