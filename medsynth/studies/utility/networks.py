"""The classifiers: timm's ConvNeXt (or any other network of timm), with one channel in and one logit out."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from medsynth.errors import CheckpointError, needs_extra
from medsynth.networks.torchvision_operators import make_importable


def classifier(name: str, *, seed: int, weights: Path | None = None) -> nn.Module:
    """`name` of timm for images (B, 1, S, S); random weights drawn with `seed`, or those of a file.

    Raises:
        MissingExtra: timm is not installed.
        ValueError: timm has no such network.
        CheckpointError: the file does not fit the network.
    """
    timm = _timm()
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:6] or timm.list_models("convnext*")[:6]
        raise ValueError(f"network: timm has no {name!r}; try for example {', '.join(near)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = timm.create_model(name, pretrained=False, in_chans=1, num_classes=1)
    if weights is not None:
        _load(network, weights, timm)
    return network


def check_network(name: str, weights: Path | None) -> int:
    """The number of weights of the network, or a refusal before any work; see `classifier`."""
    return sum(p.numel() for p in classifier(name, seed=0, weights=weights).parameters())


def _load(network: nn.Module, path: Path, timm: ModuleType) -> None:
    """Weights of a file but those of the last layer, which is of our own classes.

    A first layer of three channels is summed over them, as timm does for gray images.
    """
    try:
        state = timm.models.load_state_dict(str(path), use_ema=False)
        state = _to_gray(state, network, timm)
        found = network.load_state_dict(state, strict=False)
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"weights: {path} does not fit the network: {error}") from None
    lost = [key for key in found.missing_keys if not key.startswith(("head", "fc", "classifier"))]
    if lost:
        raise CheckpointError(
            f"weights: {path} lacks {len(lost)} parts of the network, such as {lost[0]}; it belongs to "
            "another network"
        )


def _to_gray(state: dict, network: nn.Module, timm: ModuleType) -> dict:
    own = network.state_dict()
    kept = {}
    for key, value in state.items():
        if key in own and value.shape != own[key].shape:
            if value.ndim == 4 and value.shape[1] == 3 and own[key].shape[1] == 1:
                value = timm.models.adapt_input_conv(1, value)
            elif key.startswith(("head", "fc", "classifier")):
                continue
        kept[key] = value
    return kept


def _timm() -> ModuleType:
    with needs_extra("utility", ("timm", "torchvision")):
        make_importable()
        return importlib.import_module("timm")
