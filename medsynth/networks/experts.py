"""Weights whose fine levels another file's network does: named by a request, or by the file's header.

The header's `expert` is a mapping: `weights`, the name of a file beside this one or in the model store,
and `log_snr_min`, from where it is called (left out: from where it was trained).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.experts import with_expert
from medsynth.domains.base import DISTILLED_SAMPLER
from medsynth.errors import CheckpointError
from medsynth.networks import model_store
from medsynth.networks.checkpoint import (
    build_denoiser,
    load_network,
    read_metadata,
    rewrite_metadata,
)
from medsynth.records.result import Checkpoint
from medsynth.request.model import NO_EXPERT
from medsynth.storage.files import sha256


@dataclass(frozen=True)
class ExpertFile:
    """The weights of an expert, what their header says, and the log-SNR from which they are called."""

    path: Path
    metadata: dict[str, Any]
    log_snr_min: float

    def checkpoint(self) -> Checkpoint:
        """What a result says of it."""
        return Checkpoint(self.path.name, sha256(self.path), self.metadata.get("steps"))


def expert_file(
    weights: Path, metadata: dict[str, Any], asked: Path | str | None = None
) -> ExpertFile | None:
    """The expert of `weights`, whose header is `metadata`; None without one.

    Args:
        weights: the file of the network for the levels below.
        metadata: its header.
        asked: the expert's file, or the name of a shipped one; `none`: without one; None: as the header says.

    Raises:
        CheckpointError: missing, damaged, of another preset, or not trained for the levels asked for.
    """
    if asked == NO_EXPERT:
        return None
    lowest = None
    if asked is None:
        named = metadata.get("expert")
        if named is None:
            return None
        asked, lowest = _named(weights, named)
    path = _beside(weights, str(asked)) or model_store.file_or_shipped(asked)
    own = read_metadata(path)
    trained = own.get("conditioned_log_snr_min")
    if own["preset"] != metadata["preset"]:
        raise CheckpointError(
            f"{path} is an expert for preset {own['preset']}, {weights} draws {metadata['preset']}; give "
            "one of the same preset"
        )
    if trained is None or own.get("low_pass_factor"):
        raise CheckpointError(
            f"{path} does not say from which log-SNR it was trained behind a reference; train an expert "
            "with reference.log_snr_min"
        )
    if lowest is not None and lowest < trained:
        raise CheckpointError(
            f"{weights} calls its expert {path} from log-SNR {lowest:g} up, which was trained from "
            f"{trained:g} up"
        )
    return ExpertFile(path, own, trained if lowest is None else lowest)


def _beside(weights: Path, name: str) -> Path | None:
    """The shipped network of that name where it lies beside the weights, such as fetched ones."""
    if name not in model_store.index():
        return None
    file = weights.with_name(f"{name}{model_store.SUFFIX}")
    return file if file.is_file() else None


def check_calls(expert: ExpertFile | None, *, steps: int, sampler: str) -> None:
    """Refuse other calls than those that a distilled expert learned.

    Raises:
        CheckpointError: other calls, or another sampler.
    """
    calls = expert and expert.metadata.get("distilled_calls")
    if expert is None or calls is None or (steps, sampler) == (calls, DISTILLED_SAMPLER):
        return
    raise CheckpointError(
        f"{expert.path} was distilled to {calls} calls of {DISTILLED_SAMPLER}, not to {steps} of {sampler}; "
        f"ask for these, or leave `expert` out"
    )


def _named(weights: Path, named: Any) -> tuple[Path, float | None]:
    """File and level of a header's `expert`."""
    name = named.get("weights") if isinstance(named, dict) else None
    lowest = named.get("log_snr_min") if isinstance(named, dict) else None
    plain = isinstance(name, str) and name and Path(name).name == name
    if not plain or not (lowest is None or type(lowest) in (int, float)):
        raise CheckpointError(
            f"{weights}: the header's expert needs weights (the name of a file) and may have "
            f"log_snr_min (a number), got {named!r}"
        )
    beside = weights.with_name(str(name).removesuffix(model_store.SUFFIX) + model_store.SUFFIX)
    return (beside if beside.is_file() else model_store.path(str(name))), lowest


def name_expert(
    weights: Path, expert: Path | str, out: Path, *, overwrite: bool = False
) -> ExpertFile:
    """Write `weights` to `out` with a header that names `expert`, by name: it has to lie beside `out` or be shipped.

    Raises:
        CheckpointError: it cannot be the expert of these weights, or would not be found beside `out`.
        FileExistsError: `out` exists, and `overwrite` is not set.
    """
    found = expert_file(weights, read_metadata(weights), expert)
    if found is None:
        raise CheckpointError(f"expert must be a weights file or a shipped network, got {expert!r}")
    add_expert(load_denoiser(weights, expert=NO_EXPERT), found)  # whether the two go together
    out = out.resolve()
    beside = found.path.resolve().parent == out.parent
    if not beside and found.path.stem not in model_store.index():
        raise CheckpointError(
            f"{found.path} has to lie beside {out}, where it is looked for; copy it"
        )
    rewrite_metadata(weights, out, {"expert": {"weights": found.path.stem}}, overwrite=overwrite)
    return found


def add_expert(
    denoiser: Denoiser,
    file: ExpertFile | None,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
) -> Denoiser:
    """`denoiser` with the expert of `file`, if there is one.

    Raises:
        CheckpointError: the file is damaged, or the two do not go together.
    """
    if file is None:
        return denoiser
    network, metadata = load_network(file.path)
    expert = build_denoiser(network, metadata, file.path, device=device, dtype=dtype)
    try:
        return with_expert(denoiser, expert, log_snr_min=file.log_snr_min)
    except ValueError as error:
        raise CheckpointError(f"{file.path} cannot be the expert: {error}") from error


def load_denoiser(
    path: Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    expert: Path | str | None = None,
) -> Denoiser:
    """The denoiser of a weights file, ready to sample with; `dtype` None picks the fastest here.

    `expert`: as `expert_file`.

    Raises:
        CheckpointError: a file is missing, damaged, or not what its header describes.
    """
    network, metadata = load_network(path)
    found = expert_file(path, metadata, expert)
    denoiser = build_denoiser(network, metadata, path, device=device, dtype=dtype)
    return add_expert(denoiser, found, device=device, dtype=dtype)
