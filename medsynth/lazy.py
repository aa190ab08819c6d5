"""Names of a package that are loaded when they are first used, so that importing the package stays light."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def named(package: str, modules: Mapping[str, tuple[str, ...]], name: str) -> Any:
    """`name` out of the module of `modules` that holds it: absolute, or ".module" of `package`.

    For the `__getattr__` of a package.

    Raises:
        AttributeError: none does.
    """
    for module, names in modules.items():
        if name in names:
            return getattr(import_module(module, package), name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
