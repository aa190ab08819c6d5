"""What makes images, by name: each one file. Names are read without torch, a generator when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.domains import Preset

if TYPE_CHECKING:
    from medsynth.generators.base import Generator
    from medsynth.request.model import Request

__all__ = ["GENERATORS", "GeneratorEntry", "get", "load", "register"]


@dataclass(frozen=True)
class GeneratorEntry:
    """A generator: `module` has `load(request, *, preset, weights, metadata, device)`.

    `needs_weights`: it draws with a network of the request's preset; without, `weights` is None.
    """

    module: str
    title: str
    needs_weights: bool = True


GENERATORS: dict[str, GeneratorEntry] = {}


def register(name: str, module: str, *, title: str, needs_weights: bool = True) -> None:
    """Make a generator known to requests.

    Raises:
        ValueError: the name is taken.
    """
    if name in GENERATORS:
        raise ValueError(f"there is a generator {name!r} already; choose another name")
    GENERATORS[name] = GeneratorEntry(module, title, needs_weights)


def get(name: str) -> GeneratorEntry:
    """The entry called `name`.

    Raises:
        ValueError: no such generator.
    """
    if name not in GENERATORS:
        raise ValueError(f"generator: expected one of {', '.join(GENERATORS)}, got {name!r}")
    return GENERATORS[name]


def load(
    request: Request,
    *,
    preset: Preset,
    weights: Path | None,
    metadata: dict[str, Any],
    device: str,
) -> Generator:
    """The generator that a request asks for, ready to draw.

    Raises:
        ValueError: no such generator, or it cannot do what is asked.
        CheckpointError: its weights are damaged.
    """
    module = importlib.import_module(get(request.generator).module)
    return module.load(request, preset=preset, weights=weights, metadata=metadata, device=device)


register(
    "guided_diffusion",
    "medsynth.generators.guided_diffusion",
    title="Guided diffusion, conditioned on references",
)
