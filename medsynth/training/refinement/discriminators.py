"""What the refiner has to convince: per display window a small network that compares patches.

Relativistic (Jolicoeur-Martineau 2019, arXiv:1807.00734): a discriminator says how much more real one patch
looks than another. Each synthetic patch meets the real one at the same place, so that anatomy cannot
decide. Zero-centered gradient penalties on both sides keep the game stable (Huang et al. 2024,
arXiv:2501.05441).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.domains import IntensityMap, Window

WIDTH = 24
SLOPE = 0.2
# The finest detail is weak in a window's range; shown beside the window it is made this much larger.
DETAIL_GAIN = 5.0
DETAIL_SIGMA = 1.0
ROUNDING = 1.0  # physical units: real images hold whole ones, which must not give them away


class Discriminators(nn.Module):
    """One discriminator for each window: patches (B, 1, h, w) in [-1, 1] to scores (B, windows)."""

    kernel: Tensor

    def __init__(self, windows: Sequence[Window], intensity: IntensityMap):
        super().__init__()
        self.windows, self.intensity = tuple(windows), intensity
        self.discriminators = nn.ModuleList(_discriminator() for _ in self.windows)
        reach = math.ceil(3 * DETAIL_SIGMA)
        places = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (places / DETAIL_SIGMA) ** 2)
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def views(self, patches: Tensor, noise: Tensor) -> Tensor:
        """What each discriminator sees: its window, and the window's finest detail; (B, windows, 2, h, w).

        `noise` uniform in [0, 1), shaped as `patches`, covers up rounding to whole units.
        """
        values = to_physical(patches, self.intensity) + ROUNDING * (noise - 0.5)
        seen = []
        for window in self.windows:
            low, high = window.limits
            shown = ((values - low) / (high - low)).clamp(0, 1) - 0.5
            seen.append(torch.cat([2 * shown, DETAIL_GAIN * (shown - self._blurred(shown))], dim=1))
        return torch.stack(seen, dim=1)

    def forward(self, views: Tensor) -> Tensor:
        """Scores; higher looks more real."""
        scores = [
            discriminator(views[:, w].contiguous(memory_format=torch.channels_last)).mean(
                dim=(1, 2, 3)
            )
            for w, discriminator in enumerate(self.discriminators)
        ]
        return torch.stack(scores, dim=1)

    def _blurred(self, image: Tensor) -> Tensor:
        reach = len(self.kernel) // 2
        padded = functional.pad(image, (reach,) * 4, mode="reflect")
        rows = functional.conv2d(padded, self.kernel[None, None, :, None])
        return functional.conv2d(rows, self.kernel[None, None, None, :])


def _discriminator() -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = ((2, WIDTH, 5, 2), (WIDTH, 2 * WIDTH, 3, 2), (2 * WIDTH, 3 * WIDTH, 3, 1))
    for before, after, kernel, stride in (*sizes, (3 * WIDTH, 3 * WIDTH, 3, 2)):
        layers += [
            nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2),
            nn.LeakyReLU(SLOPE),
        ]
    return nn.Sequential(*layers, nn.Conv2d(3 * WIDTH, 1, 3, padding=1))


def to_physical(unit: Tensor, intensity: IntensityMap) -> Tensor:
    """`IntensityMap.from_unit` that gradients pass through; the end pieces go on beyond the ends."""
    physical, knots = (
        torch.tensor(v, dtype=unit.dtype, device=unit.device)
        for v in (intensity.physical, intensity.unit)
    )
    piece = torch.bucketize(unit.detach().contiguous(), knots[1:-1])
    slope = (physical[1:] - physical[:-1]) / (knots[1:] - knots[:-1])
    return physical[piece] + (unit - knots[piece]) * slope[piece]


def discriminator_loss(
    discriminators: Discriminators, real: Tensor, made: Tensor, *, penalty: float
) -> Tensor:
    """The discriminators' loss, from views of real patches and of refined ones.

    softplus(-(score of the real - score of the refined)) and penalty / 2 times the squared norms of
    both scores' gradients at what was seen.
    """
    real, made = (v.detach().requires_grad_(True) for v in (real, made))
    scores = discriminators(real), discriminators(made)
    loss = functional.softplus(scores[1] - scores[0]).sum(dim=1).mean()
    for score, seen in zip(scores, (real, made), strict=True):
        (slope,) = torch.autograd.grad(score.sum(), seen, create_graph=True)
        loss = loss + penalty / 2 * slope.square().flatten(1).sum(dim=1).mean()
    return loss


def adversarial_loss(discriminators: Discriminators, real: Tensor, made: Tensor) -> Tensor:
    """What the refiner is taught by: the refined patches shall score as high as the real ones."""
    with torch.no_grad():
        target = discriminators(real)
    return functional.softplus(target - discriminators(made)).sum(dim=1).mean()
