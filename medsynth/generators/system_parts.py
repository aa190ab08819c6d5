"""What several image systems share: numbers among the options, weights by their name, values of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medsynth.domains import Preset
from medsynth.domains.methods import SAMPLERS
from medsynth.errors import CheckpointError
from medsynth.generators.systems.base import ImageRequest
from medsynth.networks import model_store
from medsynth.registry import unknown

WEIGHTS = "weights.safetensors"


def number(request: ImageRequest, key: str, default: float, low: float, high: float) -> float:
    """A number among the options.

    Raises:
        ValueError: it is none, or out of range.
    """
    value: Any = request.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"--set {key}={value}: expected a number from {low:g} to {high:g}")
    return float(value)


def whole_number(request: ImageRequest, key: str, default: int, low: int, high: int) -> int:
    """A whole number among the options.

    Raises:
        ValueError: it is none, or out of range.
    """
    value = number(request, key, default, low, high)
    if value != int(value):
        raise ValueError(f"--set {key}={value:g}: expected a whole number")
    return int(value)


def sampler_of(request: ImageRequest, default: str) -> str:
    """The sampler among the options.

    Raises:
        ValueError: there is none of this name.
    """
    name = str(request.options.get("sampler", default))
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS)
    return name


def model_path(request: ImageRequest, default: str, *, recipe: str) -> Path:
    """What `model` names: a file, a training's folder, another folder as it is, or a network of the store.

    Raises:
        CheckpointError: the store has no such network; the message says how to get it.
    """
    given = Path(request.model).expanduser()
    if request.model and (given.exists() or given.suffix or "/" in request.model):
        return given / WEIGHTS if (given / WEIGHTS).is_file() else given
    name = request.model or default
    found = model_store.locate(name)
    if found is None:
        raise CheckpointError(
            f"no weights {name}.safetensors on this machine; train them with `medsynth train {recipe} --data "
            "FOLDER -o RUN` and give --model RUN, or name another file with --model"
        )
    return found


def in_units(unit: np.ndarray, preset: Preset) -> np.ndarray:
    """An image in [-1, 1] as 8-bit gray values, or float32 in physical units."""
    physical = preset.intensity.from_unit(np.clip(unit, -1, 1))
    if preset.units == "HU":
        return physical
    return np.rint(physical).clip(0, 255).astype(np.uint8)
