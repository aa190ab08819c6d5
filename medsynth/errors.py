"""The three error types that Python does not already have a word for."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator


class GeometryError(ValueError):
    """Two images that must share a grid do not, or a mask lies where it cannot act."""


class CheckpointError(ValueError):
    """A weights file is missing, damaged, or belongs to another network."""


class MissingExtra(ImportError):
    """An optional dependency is not installed; the message names the pip command that adds it."""


def check_one_of(what: str, given: object, known: Iterable[str]) -> None:
    """Refuse a word that is none of `known`.

    Raises:
        ValueError: the message lists them.
    """
    words = tuple(known)
    if given not in words:
        raise ValueError(f"{what} must be one of {', '.join(words)}, got {given!r}")


@contextlib.contextmanager
def needs_extra(extra: str, packages: Collection[str]) -> Iterator[None]:
    """One of `packages` that cannot be imported inside is a MissingExtra with the command that adds it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in packages:
            raise
        raise MissingExtra(
            f'{error.name} is not installed; run: pip install "medsynth-slicer[{extra}]"'
        ) from error
