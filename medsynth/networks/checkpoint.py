"""Weights on disk: safetensors whose header says what they are.

The header's `medsynth` entry is JSON with network, schedule, prediction_type, preset, data,
license, steps: a file can be read years later by someone who has only the file.
"""

from __future__ import annotations

import contextlib
import json
import platform
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.noise_level import NoiseLevelScale
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.errors import CheckpointError
from medsynth.networks.architectures import network_config
from medsynth.networks.base import DiffusionNetwork
from medsynth.networks.initial import Network, placed
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.storage import aliases
from medsynth.storage.files import new_file

REFINER = "refiner."  # the tensors of the refiner begin so
UNREADABLE = (SafetensorError, OSError, RuntimeError, TypeError, ValueError, KeyError)
REQUIRED = ("network", "schedule", "prediction_type", "preset", "data", "license")


def save_weights(state: dict[str, Tensor], path: Path, *, metadata: dict[str, Any]) -> None:
    """Write weights and their self-description atomically.

    `card` needs the keys in `REQUIRED`. Floating-point tensors are stored in float16: half the
    size, and a relative error (2^-11) far below the bf16 that inference computes in.
    """
    missing = [key for key in REQUIRED if key not in metadata]
    if missing:
        raise ValueError(f"the card lacks {', '.join(missing)}")
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    half = {k: v.contiguous().cpu() for k, v in half.items()}
    _write(half, path, header={"medsynth": json.dumps(metadata)}, overwrite=True)


def rewrite_metadata(
    path: Path, out: Path, changes: dict[str, Any], *, overwrite: bool = False
) -> None:
    """Write the weights at `path` to `out` bit for bit, with `changes` in their self-description.

    Raises:
        CheckpointError: as `read_metadata`.
        FileExistsError: `out` exists, and `overwrite` is not set.
    """
    read_metadata(path)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    described = json.loads(header["medsynth"]) | changes
    header = {**header, "medsynth": json.dumps(described)}
    _write(tensors, out, header=header, overwrite=overwrite)


def _write(
    tensors: dict[str, Tensor], path: Path, *, header: dict[str, str], overwrite: bool
) -> None:
    with new_file(path, overwrite=overwrite) as partial:
        partial.touch()
        # What the user's umask allows; safetensors makes private files.
        mode = partial.stat().st_mode
        save_file(tensors, partial, metadata=header)
        partial.chmod(mode)


def read_metadata(path: Path) -> dict[str, Any]:
    """The self-description of a weights file, without loading torch tensors.

    Raises:
        CheckpointError: missing file, not safetensors, or without our header.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                raise ValueError("header too long")
            header = json.loads(file.read(length))
        metadata = json.loads(header["__metadata__"]["medsynth"])
        return aliases.current(metadata, where=str(path))
    except FileNotFoundError:
        raise CheckpointError(
            f"no weights at {path}; train them with `medsynth train` or name others with `weights:`"
        ) from None
    except (ValueError, KeyError, struct.error, MemoryError) as error:
        raise CheckpointError(
            f"{path} is not a weights file of this program or is damaged ({error}); "
            "restore it from the repository or train again"
        ) from error


@contextlib.contextmanager
def system_file(
    path: Path, system: str, *, title: str, recipe: str
) -> Iterator[tuple[dict[str, Tensor], dict[str, Any]]]:
    """The tensors in float32 and the self-description of an image system's file, to build it from.

    Raises:
        CheckpointError: missing, of another system than `system`, or what is built from it fails: then
            the file is damaged.
    """
    metadata = read_metadata(path)
    if metadata.get("system") != system:
        raise CheckpointError(f"{path} holds no {title}; train one with `medsynth train {recipe}`")
    try:
        yield {k: v.float() for k, v in load_file(path).items()}, metadata
    except UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} is damaged or not what its header describes ({reason}); restore it or train again"
        ) from error


def load_network(path: Path) -> tuple[DiffusionNetwork, dict[str, Any]]:
    """The network in float32 on the CPU, in evaluation mode, and its card.

    Raises:
        CheckpointError: missing, damaged, of an image system, or not the weights that the header describes.
    """
    metadata = read_metadata(path)
    if system := metadata.get("system"):
        raise CheckpointError(
            f"{path} is of the image system {system} and cannot guide synthesis; use it with `medsynth generate`"
        )
    network = _filled(
        lambda: network_config(metadata["network"]).build(),
        path,
        refiner=False,
        what="network",
        again="train again",
    )
    return network.eval(), metadata


def build_denoiser(
    network: DiffusionNetwork,
    metadata: dict[str, Any],
    path: Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
) -> Denoiser:
    """A network of the kind that `metadata` describes as a denoiser; its refiner lies in `path`.

    Raises:
        CheckpointError: a noise schedule or scale that cannot be built, or a damaged refiner.
    """
    try:
        levels = schedule.build(**metadata["schedule"])
        preconditioning = (
            ResidualPreconditioning(metadata["residual_std"])
            if metadata.get("residual_std")
            else None
        )
        noise_level = (
            NoiseLevelScale(**metadata["noise_level"]) if metadata.get("noise_level") else None
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} names a noise schedule, residual scale or noise level that cannot be built: {error}"
        ) from error
    if (noise_level is not None) != network.config.noise_level:
        raise CheckpointError(
            f"{path}: a scale of the noise level and a network conditioned on it go together, the header has "
            "one of them; train again"
        )
    refiner = load_refiner(path, metadata, device=device)
    dtype = dtype or fastest_dtype(device)
    placed(network, device, dtype).requires_grad_(False)
    return Denoiser(
        network=network,
        schedule=levels,
        prediction_type=metadata["prediction_type"],
        learned_variance=network.config.learned_variance,
        reference_conditioned=network.config.reference_conditioned,
        dtype=dtype,
        preconditioning=preconditioning,
        conditioned_log_snr_min=metadata.get("conditioned_log_snr_min"),
        noise_level=noise_level,
        refiner=refiner,
    )


def load_refiner(path: Path, metadata: dict[str, Any], *, device: str = "cpu") -> Refiner | None:
    """The refiner that lies in the file of the network it was taught behind; None without one.

    In float32: it sees whole images, whose finest detail bfloat16 would round away.

    Raises:
        CheckpointError: damaged, or not the refiner that the header describes.
    """
    if not metadata.get("refiner"):
        return None
    refiner = _filled(
        lambda: Refiner(RefinerConfig(**metadata["refiner"])),
        path,
        refiner=True,
        what="refiner",
        again="run `medsynth refine` again",
    )
    return placed(refiner, device).eval().requires_grad_(False)


def _filled(
    build: Callable[[], Network], path: Path, *, refiner: bool, what: str, again: str
) -> Network:
    """What `build` makes, with its tensors in the file; `again` says how to get another file."""
    try:
        network = build()
        state = _state(path, refiner=refiner)
        network.load_state_dict(state)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} is damaged or does not hold the {what} its header describes ({reason}); "
            f"restore it from the repository or {again}"
        ) from error
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise CheckpointError(f"{path} holds a {what} whose values are not finite; {again}")
    return network


def _state(path: Path, *, refiner: bool) -> dict[str, Tensor]:
    """The network's tensors in float32, or those of its refiner."""
    return {
        k.removeprefix(REFINER): v.float() if v.is_floating_point() else v
        for k, v in load_file(path).items()
        if k.startswith(REFINER) == refiner
    }


def fastest_dtype(device: str) -> torch.dtype:
    """bfloat16 where the hardware computes in it, float32 elsewhere (emulated bf16 is 3 to 5 x slower)."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float32
    return torch.bfloat16 if _cpu_computes_in_bfloat16() else torch.float32


def _cpu_computes_in_bfloat16() -> bool:
    """oneDNN also says yes on AVX-512 processors that have to emulate it."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    # Older versions of torch lack the second question, or both: float32 is right everywhere.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)
