"""What `inference.json` builds: request, weights, network, denoiser, and the synthesis they make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medsynth import domains, threads
from medsynth.bundle.options import absolute, check_assignments, check_flag, check_path
from medsynth.diffusion.denoiser import Denoiser
from medsynth.events import Listener, ignore
from medsynth.generators.base import Generator
from medsynth.networks import load_network, model_store, read_metadata, sha256
from medsynth.networks.base import DiffusionNetwork
from medsynth.networks.checkpoint import build_denoiser
from medsynth.networks.device import choose_device
from medsynth.networks.domain_weights import check_metadata, weights_path
from medsynth.networks.experts import add_expert, expert_file
from medsynth.pipeline.synthesize import run
from medsynth.records.result import Checkpoint, Result
from medsynth.request import Request, load_request
from medsynth.request.files import pairs

PRECISIONS = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def request(
    file: str | Path | None,
    *,
    changes: Mapping[str, Any] | None = None,
    assignments: str | Sequence[str] = (),
) -> Request | None:
    """The request in `file`; None without one, for MONAI's tools that want the network alone.

    Args:
        file: YAML or JSON.
        changes: values that replace the file's, by key; None leaves the file's. A path starts where
            the user stands.
        assignments: KEY=VALUE lines that replace others.

    Raises:
        ValueError, OSError: as `medsynth.request.load_request`.
    """
    if file is None:
        return None
    given = {key: value for key, value in (changes or {}).items() if value is not None}
    if "weights" in given:
        given["weights"] = absolute("weights", given["weights"])
    return load_request(
        check_path("request", file), overrides=given | dict(pairs(check_assignments(assignments)))
    )


def weights(file: str | Path | None, *, preset: str | None, request: Request | None) -> Path:
    """The weights file: `file`, else that of the request, else the one shipped for `preset`.

    Raises:
        ValueError: no such preset.
        CheckpointError: missing, damaged, or of another domain than the request's.
    """
    if request is not None:
        domain = domains.get(request.preset)
        path = weights_path(request, domain)
        check_metadata(path, domain)
        return path
    if file is not None:
        path = Path(absolute("weights", file))
        if preset is not None:
            check_metadata(path, domains.get(preset))
        return path
    return model_store.path(domains.get(preset or "lung_ct").weights)


def network(weights: str | Path) -> DiffusionNetwork:
    """The network of a weights file, float32, on the CPU.

    Raises:
        CheckpointError: the weights are missing or damaged.
    """
    return load_network(Path(weights))[0]


def denoiser(
    network: DiffusionNetwork,
    weights: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    channels_last: bool = True,
    compile: bool = False,  # noqa: A002 (MONAI's and torch's word)
    expert: str | Path | None = None,
) -> Denoiser:
    """`network` as the header of `weights` says it is to be used, ready to sample with.

    Args:
        network: of the kind that the header describes.
        weights: the file whose header says schedule, prediction type and preconditioning, and which
            holds the refiner, if there is one.
        device: auto, cpu or cuda.
        precision: auto (the fastest here), float32, bfloat16 or float16.
        channels_last: the order of channels in memory; the other order is slower.
        compile: with `torch.compile`; pays off in long jobs on CUDA.
        expert: the file of what does the fine levels, `none`, or None: as the header of `weights` says.

    Raises:
        ValueError: a device or precision that is not there.
        CheckpointError: the weights are missing or damaged.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(PRECISIONS)}, got {precision!r}")
    path, place = Path(weights), choose_device(device)
    metadata, dtype = read_metadata(path), PRECISIONS[precision]
    built = build_denoiser(network, metadata, path, device=place, dtype=dtype)
    if not check_flag("channels_last", channels_last):
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()
    if check_flag("compile", compile):
        network.compile(dynamic=False)
    found = expert_file(path, metadata, expert)
    return add_expert(built, found, device=place, dtype=dtype)


def checkpoint(weights: str | Path, expert: str | Path | None = None) -> Checkpoint:
    """What a result says of the weights it was made with, and of their expert."""
    path = Path(weights)
    metadata = read_metadata(path)
    found = expert_file(path, metadata, expert)
    return Checkpoint(
        path.name, sha256(path), metadata.get("steps"), found.checkpoint() if found else None
    )


@dataclass(frozen=True, eq=False)
class BundleSynthesis:
    """A request, what draws it, and the folder that it is written to.

    Raises:
        ValueError: an option was read as something else.
    """

    request: Request
    generator: Generator
    out: str | Path | None
    overwrite: bool = False
    dry_run: bool = False
    threads: int | None = None
    listener: Listener = ignore

    def __post_init__(self) -> None:
        check_path("out", self.out)
        for flag in ("overwrite", "dry_run"):
            check_flag(flag, getattr(self, flag))
        if self.request.generator != self.generator.name:
            raise ValueError(
                f"the request asks for the generator {self.request.generator}, the config has "
                f"{self.generator.name}; override `generator`, or run `medsynth synthesize`"
            )

    def run(self) -> Result | Any:
        """As `medsynth.pipeline.run`.

        Raises:
            ValueError, OSError, MemoryError: the job was refused.
        """
        with threads.using(self.threads):
            return run(
                self.request,
                check_path("out", self.out),
                overwrite=self.overwrite,
                dry_run=self.dry_run,
                listener=self.listener,
                generator=self.generator,
            )
