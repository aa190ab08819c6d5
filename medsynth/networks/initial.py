"""How networks begin: layers that add nothing yet, and weights in the order that convolutions read."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

Network = TypeVar("Network", bound=nn.Module)


def zero(layer: nn.Module) -> None:
    """Set the layer's weights and biases to 0: it adds nothing until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def placed(
    network: Network, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Network:
    """The network itself, on `device`, its convolutions' weights channels last."""
    network.to(device=device, dtype=dtype)
    return convert_conv2d_weight_memory_format(network, torch.channels_last)
