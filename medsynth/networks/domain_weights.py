"""The weights that draw the images of a domain: those that are named, or those that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsynth.domains import Preset
from medsynth.errors import CheckpointError
from medsynth.networks import model_store
from medsynth.networks.checkpoint import read_metadata
from medsynth.networks.experts import check_calls, expert_file
from medsynth.request import Request


def find(request: Request, preset: Preset) -> tuple[Path, dict[str, Any]]:
    """The weights that a request is drawn with, and their header.

    Raises:
        CheckpointError: they or their expert are missing, damaged, or for other images.
    """
    weights = weights_path(request, preset)
    metadata = check_metadata(weights, preset)
    expert = expert_file(weights, metadata, request.expert)
    check_calls(expert, steps=request.steps, sampler=request.sampler)
    return weights, metadata


def weights_path(request: Request, preset: Preset) -> Path:
    """The weights a request names, else those shipped for its preset.

    Raises:
        CheckpointError: the shipped ones are not on this computer.
    """
    return request.weights or model_store.path(preset.weights)


def check_metadata(weights: Path, preset: Preset) -> dict[str, Any]:
    """The header of the weights.

    Raises:
        CheckpointError: missing, damaged, or trained for another preset or for low-pass images only.
    """
    metadata = read_metadata(weights)
    if metadata.get("low_pass_factor"):
        raise CheckpointError(
            f"{weights} draws the low-pass images of unguided images, not images; leave `weights` out for "
            "the preset's own"
        )
    if metadata.get("is_expert"):
        raise CheckpointError(
            f"{weights} is an expert for fine levels, which draws nothing alone; name it as `expert`, and "
            "leave `weights` out for the preset's own"
        )
    if metadata["preset"] != preset.name:
        raise CheckpointError(
            f"{weights} was trained for preset {metadata['preset']}, the request asks for {preset.name}"
        )
    return metadata
