"""What a diffusion network and its configuration are, whatever the architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.diffusion.conditioning import Conditioning


class NetworkConfig(Protocol):
    """Everything that is needed to build a network again; written into the weights' header."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the full image in pixels."""
        ...

    @property
    def patch_size(self) -> int:
        """What the corners of crops are multiples of, in pixels."""
        ...

    @property
    def multiple(self) -> int:
        """What the sides of images are multiples of, in pixels; others are continued and cut."""
        ...

    @property
    def reference_conditioned(self) -> bool:
        """Whether it is conditioned on a low-pass image."""
        ...

    @property
    def noise_level(self) -> bool:
        """Whether it is conditioned on the image noise level too."""
        ...

    @property
    def learned_variance(self) -> bool:
        """Whether it predicts a variance too, in a second channel."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; `medsynth.networks.architectures.network_config` reads it back."""
        ...

    def build(self) -> DiffusionNetwork:
        """The network, with random weights."""
        ...


class DiffusionNetwork(nn.Module, ABC):
    """x_t (B, 1, H, W) and timesteps (B,) to its prediction (B, 1 or 2, H, W).

    A subclass computes it in `predict`; `config` is what it was built of.
    """

    config: NetworkConfig

    __call__: Callable[..., Tensor]

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor | None = None,
        *,
        conditioning: Conditioning | None = None,
        origin: Tensor | None = None,
    ) -> Tensor:
        """Sides that are not a multiple of `config.multiple` are continued by their edge and cut again.

        Args:
            timesteps: None means t = 0, which lets MONAI's verify_net_in_out call the bare network.
            origin: (B, 2), row and column of each crop's corner in the full image, in pixels; None: the
                image is taken to be centered in the full one.
        """
        if timesteps is None:
            timesteps = torch.zeros(len(x), device=x.device)
        height, width = x.shape[-2:]
        missing = (-height % self.config.multiple, -width % self.config.multiple)
        if any(missing):
            x, conditioning = _continued(x, missing), _continued_conditioning(conditioning, missing)
        return self.predict(x, timesteps, conditioning, origin)[..., :height, :width]

    @abstractmethod
    def predict(
        self, x: Tensor, timesteps: Tensor, conditioning: Conditioning | None, origin: Tensor | None
    ) -> Tensor:
        """As `forward`, of an image whose sides are multiples of `config.multiple`."""


def _continued(image: Tensor, missing: tuple[int, int]) -> Tensor:
    """`image` (B, 1, H, W) continued by its last row and column."""
    return functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")


def _continued_conditioning(
    conditioning: Conditioning | None, missing: tuple[int, int]
) -> Conditioning | None:
    if conditioning is None:
        return None
    low_pass_image, factor_map = (
        _continued(v, missing) for v in (conditioning.low_pass_image, conditioning.factor_map)
    )
    return Conditioning(low_pass_image, factor_map, conditioning.noise_level)


def reference_channels(x: Tensor, conditioning: Conditioning | None) -> tuple[Tensor, Tensor]:
    """The low-pass image and the level of its factor: 0 without one, 1/6 for factor 1, then 1/6 more
    for each doubling; both like `x`."""
    if conditioning is None:
        return torch.zeros_like(x), torch.zeros_like(x)
    present = conditioning.factor_map > 0
    level = (1 + conditioning.factor_map.clamp(min=1).log2()) / 6
    image = torch.where(present, conditioning.low_pass_image, 0)
    return image.to(x.dtype), torch.where(present, level, 0).to(x.dtype)
