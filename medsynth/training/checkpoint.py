"""A run's checkpoint: network, EMA, optimizer and what the noise levels have learned; and its losses.

`checkpoint.json` names the tensors' file and is replaced last, so that a power cut leaves the older
pair.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medsynth.errors import CheckpointError
from medsynth.networks.architectures import network_config
from medsynth.storage import aliases
from medsynth.storage.files import new_file, replace_text

RECORD = "checkpoint.json"
# The parts of a recipe that a run cannot change on its way.
FIXED = (
    "network",
    "schedule",
    "prediction_type",
    "noise_level",
    "low_pass_factor",
    "expert",
    "distillation",
)


def exists(run: Path) -> bool:
    """Whether `run` holds a run that can go on."""
    return (run / RECORD).exists()


def save(run: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write the tensors and the record (with its `step`); the checkpoint before goes."""
    name = f"checkpoint-{record['step']:07d}.safetensors"
    if not (run / name).exists():
        with new_file(run / name) as file:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, file)
    replace_text(run / RECORD, json.dumps(record | {"tensors": name}, indent=1))
    for old in run.glob("checkpoint-*.safetensors"):
        if old.name != name:
            old.unlink()


def check(run: Path, record: dict[str, Any], *, recipe: dict[str, Any], data_digest: str) -> None:
    """Refuse to go on with the record of another training; `recipe` with all of the network's fields.

    Raises:
        CheckpointError: of another network, schedule, prediction type or other images.
    """
    if "recipe" not in record:
        raise CheckpointError(f"{run} holds the teaching of a refiner; choose another folder")
    saved = aliases.current(record["recipe"], where=str(run / RECORD))
    saved["network"] = network_config(saved["network"]).to_dict()
    for key in FIXED:
        if (saved.get(key) or None) != (recipe[key] or None):
            raise CheckpointError(
                f"{run} holds another {key} ({saved.get(key)}, the recipe says {recipe[key]}); choose "
                "another folder"
            )
    if record["data_digest"] != data_digest:
        raise CheckpointError(
            f"{run} was trained on other images; give the same --data or another folder"
        )


def read_record(run: Path) -> dict[str, Any]:
    """What `save` was given beside the tensors."""
    return json.loads((run / RECORD).read_text())


def read_tensors(run: Path, record: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors that belong to `record`.

    Raises:
        CheckpointError: damaged.
    """
    try:
        return aliases.current_tensors(load_file(run / record["tensors"]))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{run / record['tensors']} cannot be read: {error}") from error


def named(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names that begin with `name`; `below` undoes it."""
    return {f"{name}.{key}": value for key, value in tensors.items()}


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by parameter number and name."""
    states = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, state in states.items() for k, v in state.items()}


def load_optimizer(
    optimizer: torch.optim.Optimizer, network: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Take up what `optimizer_tensors` gave."""
    parameters = list(network.parameters())
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        if value.ndim:
            # In the parameter's own memory layout: the fused optimizer walks both in step.
            value = torch.empty_like(parameters[int(index)]).copy_(value)
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})


def write_table(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    """A CSV file."""
    with new_file(path, overwrite=True) as partial, open(partial, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read_table(path: Path, *, until: int) -> list[tuple[float, ...]]:
    """Rows of a CSV file of numbers, up to `step` (the first column) `until`; [] without a file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = [(int(first), *map(float, rest)) for first, *rest in list(csv.reader(file))[1:]]
    return [row for row in rows if row[0] <= until]
