"""Features of networks: one taught here on the domain's own training patients, and ImageNet's.

The first is a small network that learns, from real patches of the training patients alone, which way up
a patch is (Gidaris et al. 2018) and where in the image it comes from; its 64 values before the last
layer are the features. Not the denoiser's own: what a denoiser does not see it does not draw, and
would not miss. Not the two-sample network's: that one looks for one difference only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.domains import Window
from medsynth.errors import CheckpointError, MissingExtra
from medsynth.evaluation.patches import cut, draw_places, windowed
from medsynth.evaluation.small_network import scale_of, small_network

STEPS, BATCH = 300, 64
IMAGENET_SIZE = 224
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Learned:
    """The taught network; `skill` is the share of turns it tells right on the patches it learned from."""

    network: nn.Sequential
    mean: Tensor
    std: Tensor
    skill: float

    @torch.inference_mode()
    def __call__(self, patches: np.ndarray) -> np.ndarray:
        """Features (M, 64) of patches (M, S, S) as the window shows them."""
        return self._before_last(torch.from_numpy(patches)[:, None]).numpy()

    def _before_last(self, patches: Tensor) -> Tensor:
        body = self.network[:-1]
        return torch.cat([body((part - self.mean) / self.std) for part in patches.split(256)])


def learn(
    images: np.ndarray,
    inside: np.ndarray,
    *,
    window: Window,
    seed: int = 0,
    places: int = 8,
    steps: int = STEPS,
) -> Learned:
    """Teach the network on real slices (N, H, W) of the training patients, seen through `window`.

    Raises:
        ValueError: too few slices have a place for a patch, see `draw_places`.
    """
    corners = draw_places(inside, count=places, seed=seed)
    patches = torch.from_numpy(cut(windowed(images, window), corners))[:, None]
    height, width = images.shape[1:]
    positions = torch.from_numpy(np.concatenate(corners) / (height, width)).float() * 2 - 1
    generator = torch.Generator().manual_seed(seed)
    network = small_network(1, 4 + 2, generator).train()
    mean, std = scale_of(patches)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    right = []
    for _ in range(steps):
        drawn = torch.randint(len(patches), (BATCH,), generator=generator)
        turns = torch.arange(BATCH) % 4
        batch = (patches[drawn] - mean) / std
        batch = torch.stack([p.rot90(int(t), (1, 2)) for p, t in zip(batch, turns, strict=True)])
        output = network(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(output[:, :4], turns)
        loss = loss + functional.mse_loss(output[:, 4:], positions[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        right.append(float((output[:, :4].argmax(1) == turns).float().mean()))
    return Learned(network.eval(), mean, std, skill=float(np.mean(right[-50:])))


class ImageNet:
    """The 2048 values before the last layer of torchvision's ResNet-50, from a file on disk.

    Args:
        weights: such as `resnet50-0676ba61.pth` of https://download.pytorch.org/models.

    Raises:
        MissingExtra: torchvision is not installed.
        CheckpointError: the file does not hold that network.
    """

    def __init__(self, weights: Path):
        try:
            from torchvision.models import resnet50
        except ImportError:
            raise MissingExtra(
                "ImageNet features need torchvision; run: pip install torchvision"
            ) from None
        self.network = resnet50()
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state)
        except (RuntimeError, AttributeError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{weights} does not hold torchvision's ResNet-50 ({type(error).__name__}); get "
                "https://download.pytorch.org/models/resnet50-0676ba61.pth"
            ) from error
        self.network.fc = nn.Identity()
        self.network.eval()

    @torch.inference_mode()
    def __call__(self, patches: np.ndarray) -> np.ndarray:
        """Features (M, 2048) of patches (M, S, S) as the window shows them."""
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        found = []
        for part in torch.from_numpy(patches)[:, None].split(32):
            wide = functional.interpolate(part, size=IMAGENET_SIZE, mode="bilinear")
            found.append(self.network((wide.expand(-1, 3, -1, -1) - mean) / std))
        return torch.cat(found).numpy()
