"""State dicts of DiffusionModelUNet that others trained: MONAI's own, and those of monai-generative.

The package monai-generative (0.2.3 was its last) is where MONAI's network comes from, under other names.
Its self-attention has a last layer, `proj_attn`, that it never applies; MONAI's applies the layer of that
place unless it is built with `include_fc=False`. Cross-attention applies it in both. So what was loaded by
name alone would give other images, without a word. Here the layer that was not applied becomes the
identity, and a network is the same whatever it is built with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from medsynth.diffusion import schedule
from medsynth.errors import CheckpointError
from medsynth.networks.checkpoint import load_network, save_weights
from medsynth.networks.monai_networks import DiffusionModelUNet
from medsynth.networks.patch_unet import PatchUNet, PatchUNetConfig
from medsynth.storage.files import check_new_file, new_file

FIRST = (
    "conv_in.conv.weight"  # what every such state dict has, behind whatever a trainer put before it
)
NESTED = ("state_dict", "model", "network", "net", "unet")  # where trainers put a state dict
GROUPS = 32  # of the normalization, in both packages unless somebody chose another number
State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """The tensors of the network in a file that `torch.save` wrote, without a trainer's prefix.

    Raises:
        CheckpointError: there is no file, it holds more than tensors, or no such network.
    """
    found = _read(path)
    while isinstance(found, Mapping) and not _is_state(found):
        inner = _nested(found)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not _is_state(found):
        raise CheckpointError(
            f"{path} holds no DiffusionModelUNet: expected a state dict with {FIRST}, as such or under "
            f"one of {', '.join(NESTED)}"
        )
    prefix = next(key for key in found if key.endswith(FIRST)).removesuffix(FIRST)
    return {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}


def read_tensors(path: Path) -> State:
    """The tensors of a file that `torch.save` wrote, whatever network they are of.

    Raises:
        CheckpointError: there is no file, or it holds no state dict.
    """
    found = _read(path)
    while isinstance(found, Mapping) and not all(isinstance(v, Tensor) for v in found.values()):
        inner = _nested(found)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise CheckpointError(
            f"{path} holds no state dict, as such or under one of {', '.join(NESTED)}"
        )
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"no such file: {path}") from None
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a state dict ({reason}); expected what "
            "torch.save(network.state_dict(), FILE) writes"
        ) from None


def _nested(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The state dict that a trainer put into a larger one."""
    inner = [found[key] for key in NESTED if isinstance(found.get(key), Mapping)]
    return inner[0] if len(inner) == 1 else None


def _is_state(found: Mapping[Any, Any]) -> bool:
    ends = [key for key in found if isinstance(key, str) and key.endswith(FIRST)]
    return len(ends) == 1 and all(isinstance(value, Tensor) for value in found.values())


def renamed(state: Mapping[str, Tensor]) -> State:
    """A state dict of either package for MONAI's network built with `include_fc=True`, its default."""
    found: State = {}
    for key, value in state.items():
        if ".proj_attn." in key:
            continue  # was never applied
        name = re.sub(r"(attentions\.\d+|attention)\.(to_[qkv])\.", r"\1.attn.\2.", key)
        name = name.replace(".to_out.0.", ".out_proj.")
        name = re.sub(r"(up_blocks\.\d+\.upsampler)\.conv\.conv\.", r"\1.postconv.conv.", name)
        found[name] = value
    for key in [k for k in found if k.endswith(".to_q.weight")]:
        layer = key.removesuffix("to_q.weight") + "out_proj."
        if f"{layer}weight" not in found:
            found[f"{layer}weight"] = torch.eye(len(found[key]))
            found[f"{layer}bias"] = torch.zeros(len(found[key]))
    return found


def load_state(network: DiffusionModelUNet, state: Mapping[str, Tensor]) -> None:
    """Load a state dict of either package into MONAI's network, built with `include_fc=True`.

    Raises:
        CheckpointError: the network is another one.
    """
    try:
        network.load_state_dict(renamed(state))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise CheckpointError(
            f"the state dict is of another network: {lines[0] if lines else error}"
        ) from None


def config_of(
    state: Mapping[str, Tensor],
    *,
    image_size: tuple[int, int],
    num_head_channels: int | None = None,
) -> PatchUNetConfig:
    """The network that a state dict is of, as far as its tensors say.

    Args:
        state: as `read_state` gives it.
        image_size: (H, W) of the images that it was trained on.
        num_head_channels: channels of each attention head, which no tensor tells.

    Raises:
        CheckpointError: a network that cannot be used here, or heads that are not said or cannot be.
    """
    _check_usable(state)
    levels = 1 + max(int(m[1]) for k in state if (m := re.match(r"down_blocks\.(\d+)\.", k)))
    channels, blocks, attention = [], [], []
    for level in range(levels):
        below = [k for k in state if k.startswith(f"down_blocks.{level}.")]
        channels.append(len(state[f"down_blocks.{level}.resnets.0.conv1.conv.weight"]))
        blocks.append(sum(k.endswith(".conv1.conv.weight") and ".resnets." in k for k in below))
        attention.append(any(".attentions." in k for k in below))
    if len(set(blocks)) > 1:
        raise CheckpointError(f"expected as many residual blocks at every level, got {blocks}")
    if any(n % GROUPS for n in channels):
        raise CheckpointError(f"expected channels that are multiples of {GROUPS}, got {channels}")
    attended = {n for n, has in zip(channels, attention, strict=True) if has} | {channels[-1]}
    if num_head_channels is None:
        raise CheckpointError(
            "the network has attention, whose number of heads no tensor tells; say its "
            "num_head_channels (--num-head-channels; the packages' own default is 8)"
        )
    if num_head_channels < 1 or any(n % num_head_channels for n in attended):
        raise CheckpointError(
            f"num_head_channels must divide {sorted(attended)}, got {num_head_channels}"
        )
    return PatchUNetConfig(
        image_size=image_size,
        patch_size=1,
        channels=tuple(channels),
        attention_levels=tuple(attention),
        num_res_blocks=blocks[0],
        num_head_channels=num_head_channels,
        coordinates=False,
        learned_variance=len(state["out.2.conv.weight"]) == 2,
    )


def _check_usable(state: Mapping[str, Tensor]) -> None:
    """Refuse a network that takes or gives something else than a gray image.

    Raises:
        CheckpointError: it does.
    """
    first, last = state[FIRST], state.get("out.2.conv.weight")
    if first.ndim != 4:
        raise CheckpointError(f"expected a network of 2-D images, got one of {first.ndim - 2}-D")
    if any(".transformer_blocks." in key for key in state):
        raise CheckpointError(
            "the network takes a context (cross-attention), which no request can give; only "
            "unconditional networks can be imported"
        )
    if "class_embedding.weight" in state:
        raise CheckpointError("the network takes a class, which no request can give")
    if last is None or first.shape[1] != 1 or len(last) not in (1, 2):
        outputs = "none" if last is None else str(len(last))
        raise CheckpointError(
            f"expected 1 channel in and 1 out (2 with learned variance), got {first.shape[1]} and "
            f"{outputs}; networks of a latent space or with extra inputs cannot be imported"
        )


def import_network(
    path: Path, *, image_size: tuple[int, int], num_head_channels: int | None = None
) -> PatchUNet:
    """The network in a file of either package, in float32 on the CPU.

    Raises:
        CheckpointError: as `read_state`, `config_of` and `load_state`.
    """
    state = read_state(path)
    try:
        config = config_of(state, image_size=image_size, num_head_channels=num_head_channels)
        network = PatchUNet(config)
        load_state(network.unet, state)
    except (CheckpointError, KeyError) as error:
        reason = f"no tensor {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{path}: {reason}") from None
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise CheckpointError(f"{path} holds values that are not finite")
    return network.eval()


def import_weights(
    path: Path,
    out: Path,
    *,
    metadata: Mapping[str, Any],
    image_size: tuple[int, int],
    num_head_channels: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write the network in `path` as a weights file of this program.

    Args:
        path: what `torch.save` wrote.
        out: the weights file.
        metadata: what the tensors do not say: preset, schedule, prediction_type, data, license.
        image_size: (H, W) of the images that it was trained on.
        num_head_channels: channels of each attention head.
        overwrite: replace `out`.

    Raises:
        CheckpointError: as `import_network`.
        ValueError: a schedule that cannot be built.
        OSError: `out` is there already, or cannot be written.
    """
    check_new_file(out, overwrite=overwrite)
    try:
        schedule.build(**metadata["schedule"])
    except TypeError as error:
        raise ValueError(f"schedule: {error}") from None
    network = import_network(path, image_size=image_size, num_head_channels=num_head_channels)
    made = {"network": network.config.to_dict(), **metadata, "imported_from": path.name}
    with new_file(out, overwrite=overwrite) as file:
        save_weights(network.state_dict(), file, metadata=made)


def export_state(weights: Path, out: Path, *, overwrite: bool = False) -> None:
    """Write the tensors of a weights file for `torch.load`: those of `PatchUNet`, without refiner.

    Raises:
        CheckpointError: the weights are missing or damaged.
        OSError: `out` is there already, or cannot be written.
    """
    network, _ = load_network(weights)
    with new_file(out, overwrite=overwrite) as file:
        torch.save(network.state_dict(), file)
