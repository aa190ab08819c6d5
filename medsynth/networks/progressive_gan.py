"""Progressive growing of GANs: generator and critic of Karras et al. 2018 (arXiv:1710.10196).

With the paper's tricks: weights scaled at run time (equalized learning rate), pixel norm, the standard
deviation of the minibatch as a feature, and a fade from one resolution to the next. Written here since no
well-kept library holds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.networks.checkpoint import save_weights, system_file
from medsynth.networks.initial import placed

SYSTEM = "progressive_gan"
SMALLEST = 4
SLOPE = 0.2
GENERATOR, CLASS = "generator.", "class."


@dataclass(frozen=True)
class ProgressiveGanConfig:
    """`channels` of each resolution 4, 8, 16, ...; latents have `latent_size` values."""

    latent_size: int = 128
    channels: tuple[int, ...] = (128, 128, 128, 64, 32, 16)

    @property
    def resolution(self) -> int:
        """Of the images, once the network is grown."""
        return SMALLEST * 2 ** (len(self.channels) - 1)


class ScaledConv(nn.Module):
    """A convolution whose weights are N(0, 1) and scaled by He's constant while computing."""

    def __init__(self, before: int, after: int, kernel: int, *, gain: float = math.sqrt(2)):
        super().__init__()
        weight = torch.randn(after, before, kernel, kernel)
        # In the order that bfloat16 convolutions of a CPU read: a third faster.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.padding = gain / math.sqrt(before * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, same size."""
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ScaledLinear(nn.Module):
    """The same for a fully connected layer."""

    def __init__(self, before: int, after: int, *, gain: float = math.sqrt(2)):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale = gain / math.sqrt(before)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        return functional.linear(x, self.weight * self.scale, self.bias)


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's features at unit mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def minibatch_std(x: Tensor) -> Tensor:
    """The mean standard deviation over the batch as one more feature."""
    std = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    return torch.cat([x, std.expand(len(x), 1, *x.shape[2:])], dim=1)


class ProgressiveGenerator(nn.Module):
    """Latents (B, latent_size) to images (B, 1, side, side), side = 4 2^level."""

    def __init__(self, config: ProgressiveGanConfig):
        super().__init__()
        self.config, first = config, config.channels[0]
        self.start = ScaledLinear(config.latent_size, first * SMALLEST**2, gain=math.sqrt(2) / 4)
        self.blocks = nn.ModuleList([nn.Sequential(ScaledConv(first, first, 3))])
        for before, after in zip(config.channels, config.channels[1:], strict=False):
            self.blocks.append(
                nn.Sequential(ScaledConv(before, after, 3), ScaledConv(after, after, 3))
            )
        self.to_image = nn.ModuleList([ScaledConv(c, 1, 1, gain=1.0) for c in config.channels])

    def _block(self, level: int) -> nn.Sequential:
        block = self.blocks[level]
        assert isinstance(block, nn.Sequential)
        return block

    def forward(self, latents: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        """Images; below 1, `alpha` is how far the last resolution has been faded in."""
        x = self.start(pixel_norm(latents)).view(len(latents), -1, SMALLEST, SMALLEST)
        x = pixel_norm(functional.leaky_relu(x, SLOPE))
        before = x
        for index in range(level + 1):
            if index:
                before = x
                x = functional.interpolate(x, scale_factor=2.0)
            for layer in self._block(index):
                x = pixel_norm(functional.leaky_relu(layer(x), SLOPE))
        image = self.to_image[level](x)
        if level and alpha < 1:
            small = functional.interpolate(self.to_image[level - 1](before), scale_factor=2.0)
            image = small + alpha * (image - small)
        return image


class ProgressiveCritic(nn.Module):
    """Images (B, 1, side, side) to scores (B,), higher for real ones."""

    def __init__(self, config: ProgressiveGanConfig):
        super().__init__()
        channels = config.channels
        self.from_image = nn.ModuleList([ScaledConv(1, c, 1) for c in channels])
        self.blocks = nn.ModuleList([nn.Sequential(ScaledConv(channels[0] + 1, channels[0], 3))])
        for after, before in zip(channels, channels[1:], strict=False):
            self.blocks.append(
                nn.Sequential(ScaledConv(before, before, 3), ScaledConv(before, after, 3))
            )
        self.hidden = ScaledLinear(channels[0] * SMALLEST**2, channels[0])
        self.score = ScaledLinear(channels[0], 1, gain=1.0)

    def _block(self, level: int) -> nn.Sequential:
        block = self.blocks[level]
        assert isinstance(block, nn.Sequential)
        return block

    def forward(self, image: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        """Scores."""
        x = functional.leaky_relu(self.from_image[level](image), SLOPE)
        for index in range(level, 0, -1):
            for layer in self._block(index):
                x = functional.leaky_relu(layer(x), SLOPE)
            x = functional.avg_pool2d(x, 2)
            if index == level and alpha < 1:
                small = self.from_image[level - 1](functional.avg_pool2d(image, 2))
                small = functional.leaky_relu(small, SLOPE)
                x = small + alpha * (x - small)
        x = minibatch_std(x)
        x = functional.leaky_relu(self._block(0)[0](x), SLOPE)
        x = functional.leaky_relu(self.hidden(x.flatten(1)), SLOPE)
        return self.score(x)[:, 0]


@dataclass(frozen=True, eq=False)
class ProgressiveGan:
    """A generator; `classes` maps words to their latents (latent_size,).

    `alpha`: how far its last resolution has been faded in, where training stopped in between.
    """

    generator: ProgressiveGenerator
    level: int
    preset: str
    classes: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    alpha: float = 1.0

    def latents(
        self,
        generators: Sequence[torch.Generator],
        *,
        label: str = "",
        strength: float = 0.8,
        truncation: float = 1.0,
    ) -> Tensor:
        """Latents of images of a class: `strength` of its latent, the rest drawn.

        `truncation` below 1 draws the latents' values again that lie beyond twice that number.
        """
        drawn = torch.stack(
            [_drawn(g, self.generator.config.latent_size, truncation) for g in generators]
        )
        if label:
            drawn = strength * self.classes[label] + math.sqrt(1 - strength**2) * drawn
        return drawn

    @torch.inference_mode()
    def images(self, latents: Tensor) -> Tensor:
        """Images (B, 1, side, side) in about [-1, 1]."""
        return self.generator(latents, self.level, self.alpha)


def _drawn(generator: torch.Generator, size: int, truncation: float) -> Tensor:
    values = torch.randn(size, generator=generator)
    while truncation < 1 and bool((beyond := values.abs() > 2 * truncation).any()):
        values[beyond] = torch.randn(int(beyond.sum()), generator=generator)
    return values


def save(
    path: Path,
    state: dict[str, Tensor],
    *,
    config: ProgressiveGanConfig,
    level: int,
    classes: dict[str, Tensor],
    metadata: dict[str, Any],
) -> None:
    """Write a generator's state and its class latents."""
    tensors = {f"{GENERATOR}{k}": v for k, v in state.items()}
    tensors |= {f"{CLASS}{word}": v for word, v in classes.items()}
    described = {
        "system": SYSTEM,
        "network": asdict(config),
        "level": level,
        "schedule": {},
        "prediction_type": "",
    }
    save_weights(tensors, path, metadata=described | metadata)


def load(path: Path, *, device: str = "cpu") -> ProgressiveGan:
    """What `save` wrote; `system_file` says what is refused."""
    with system_file(path, SYSTEM, title="progressive GAN", recipe="pggan_64") as (
        tensors,
        metadata,
    ):
        values = metadata["network"]
        config = ProgressiveGanConfig(values["latent_size"], tuple(values["channels"]))
        generator = ProgressiveGenerator(config)
        generator.load_state_dict(
            {k.removeprefix(GENERATOR): v for k, v in tensors.items() if k.startswith(GENERATOR)}
        )
        classes = {k.removeprefix(CLASS): v for k, v in tensors.items() if k.startswith(CLASS)}
        placed(generator, device).eval().requires_grad_(False)
        return ProgressiveGan(
            generator,
            int(metadata["level"]),
            metadata["preset"],
            classes,
            metadata,
            float(metadata.get("alpha", 1.0)),
        )
