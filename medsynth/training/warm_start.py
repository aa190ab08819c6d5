"""Begin a run as an existing network: what the new one has more, or less, changes nothing at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from medsynth.errors import CheckpointError
from medsynth.networks import PatchUNet, PatchUNetConfig, load_network
from medsynth.networks.architectures import FIRST
from medsynth.networks.base import DiffusionNetwork, NetworkConfig
from medsynth.networks.patch_unet import NOISE_LEVEL_CHANNELS

# May differ from the file's network.
WIDENED = ("fine_channels", "fine_patch_size", "fine_blocks", "image_size", "noise_level")


def warm_start(path: Path, config: NetworkConfig) -> DiffusionNetwork:
    """The network of `config` that computes what the weights at `path` do.

    It may have a fine stage that the file lacks, another `image_size`, and be conditioned on the noise level or not:
    what a network no longer hears is typical to it.

    Raises:
        CheckpointError: no weights, or of a network that cannot grow into `config`.
    """
    old, _ = load_network(path)
    if not isinstance(config, PatchUNetConfig) or not isinstance(old, PatchUNet):
        return _the_same(path, old, config)
    frozen = old.config.fine_channels > 0
    widened = [name for name in WIDENED if not (frozen and name.startswith("fine_"))]
    same = replace(old.config, **{name: getattr(config, name) for name in widened})
    if same != config:
        raise _another(path, old.config, config, allowed=widened)
    network = PatchUNet(config)
    # What is missing is a fine stage, whose last layer begins at zero.
    state = old.state_dict()
    if config.coordinates:
        _reframe(state, old=old.config.image_size, new=config.image_size)
    if config.noise_level != old.config.noise_level:
        _add_noise_level_channels(state, hear=config.noise_level, before=2 * config.coordinates)
    network.load_state_dict(state, strict=False)
    return network.train()


def _the_same(path: Path, old: DiffusionNetwork, config: NetworkConfig) -> DiffusionNetwork:
    """`old` itself, where it is the network of `config`, or the same at another `image_size`."""
    there, here = (c.to_dict() | {"image_size": None} for c in (old.config, config))
    if there != here:
        raise _another(path, old.config, config, allowed=("image_size",))
    network = config.build()
    network.load_state_dict(old.state_dict())
    return network.train()


def _another(
    path: Path, old: NetworkConfig, config: NetworkConfig, *, allowed: Sequence[str]
) -> CheckpointError:
    """What differs that must not."""
    first = {"architecture": FIRST}
    there, here = first | old.to_dict(), first | config.to_dict()
    differ = [k for k in there | here if there.get(k) != here.get(k) and k not in allowed]
    if "architecture" in differ:
        differ = ["architecture"]
    was = ", ".join(f"{k} {there.get(k)} there, {here.get(k)} here" for k in differ)
    return CheckpointError(f"{path} holds another network than the recipe describes: {was}")


def _reframe(state: dict[str, Tensor], *, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Read coordinates of the `new` frame as those of the `old` one, centered in it.

    Both run from -1 to 1 over their frame: the same distance from the center is new / old times as
    much in the old one's coordinates. They are the last two channels, rows and columns.
    """
    weight = state["unet.conv_in.conv.weight"].clone()
    for axis in (0, 1):
        weight[:, axis - 2] *= new[axis] / old[axis]
    state["unet.conv_in.conv.weight"] = weight


def _add_noise_level_channels(state: dict[str, Tensor], *, hear: bool, before: int) -> None:
    """Input channels for the noise level that do nothing yet, or none; `before` so many of the last.

    The typical noise level is 0, so that without these channels all images are typical.
    """
    weight = state["unet.conv_in.conv.weight"]
    end = weight.shape[1] - before
    start = end if hear else end - NOISE_LEVEL_CHANNELS
    silent = weight.new_zeros(len(weight), NOISE_LEVEL_CHANNELS * hear, *weight.shape[2:])
    parts = [weight[:, :start], silent, weight[:, end:]]
    state["unet.conv_in.conv.weight"] = torch.cat(parts, dim=1)
