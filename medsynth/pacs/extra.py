"""Loads the modules that need the optional packages, or names the command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from medsynth.errors import needs_extra

OPTIONAL = ("pynetdicom", "dicomweb_client", "requests")


def load(name: str) -> ModuleType:
    """The module `medsynth.pacs.NAME`. Raises MissingExtra when its packages are not installed."""
    with needs_extra("pacs", OPTIONAL):
        return importlib.import_module(f"medsynth.pacs.{name}")
