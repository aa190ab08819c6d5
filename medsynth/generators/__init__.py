"""What makes images, by name: each one file. Names are read without torch, a generator when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.domains import Preset
from medsynth.domains.methods import GENERATORS
from medsynth.registry import Entry, Method

if TYPE_CHECKING:
    from medsynth.generators.base import Generator
    from medsynth.request.model import Request

__all__ = ["GENERATORS", "get", "load", "needs_weights", "register", "weights_of"]


def register(name: str, module: str, *, title: str, needs_weights: bool = True) -> None:
    """Make a generator of another program known to requests.

    Args:
        name: as `generator` of a request says it.
        module: has `load(request, *, preset, weights, metadata, device)`.
        title: for people.
        needs_weights: it draws with a network of the request's preset; without, `weights` is None.

    Raises:
        ValueError: the name is taken.
    """
    facts = {"title": title, "needs_weights": needs_weights}
    GENERATORS.add(Entry(name, title, module, "load", facts))


def get(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        ValueError: no such generator.
    """
    if name not in GENERATORS:
        raise ValueError(f"generator: expected one of {', '.join(GENERATORS)}, got {name!r}")
    return GENERATORS[name]


def needs_weights(name: str) -> bool:
    """Whether the generator draws with a network of the request's preset."""
    return bool(get(name).facts.get("needs_weights", True))


def weights_of(request: Request, preset: Preset) -> tuple[Path | None, dict[str, Any]]:
    """The weights that the request's generator draws with, and their header; none if it needs none.

    Raises:
        ValueError: no such generator, or weights for one that has none.
        CheckpointError: see `medsynth.networks.domain_weights.find`.
    """
    if needs_weights(request.generator):
        from medsynth.networks import domain_weights

        return domain_weights.find(request, preset)
    for key in ("weights", "expert"):
        if getattr(request, key) is not None:
            raise ValueError(f"{key}: the generator {request.generator} has none; remove it")
    return None, {}


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
    found = get(request.generator).load()
    make = found.make if isinstance(found, Method) else found
    generator: Generator = make(
        request, preset=preset, weights=weights, metadata=metadata, device=device
    )
    return generator
