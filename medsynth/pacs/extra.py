"""Loads the modules that need the optional packages, or names the command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from medsynth.errors import MissingExtra

OPTIONAL = ("pynetdicom", "dicomweb_client", "requests")


def load(name: str) -> ModuleType:
    """The module `medsynth.pacs.NAME`. Raises MissingExtra when its packages are not installed."""
    try:
        return importlib.import_module(f"medsynth.pacs.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in OPTIONAL:
            raise
        raise MissingExtra(
            f'{error.name} is not installed; run: pip install "medsynth-slicer[pacs]"'
        ) from error
