"""Importing stays light: names that are loaded when they are first used, packages that nobody needs here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, cast

# What MONAI reads while it is imported, for parts of it that none of our programs use: half of their start.
READ_BY_MONAI = ("transformers", "torchvision", "pandas", "matplotlib", "sklearn")
_left_out: set[str] = set()


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


def leave_out(packages: Iterable[str] = READ_BY_MONAI) -> None:
    """In `without_what_is_left_out` these packages cannot be imported: for programs of ours, which start faster.

    Not for the library: whoever imports medsynth may need them, by way of MONAI, for something else.
    """
    _left_out.update(packages)


@contextmanager
def without_what_is_left_out() -> Iterator[None]:
    """For the import of a library that reads whatever optional package it finds."""
    hidden = _left_out - sys.modules.keys()
    # None is what Python takes for "there is none".
    sys.modules.update(dict.fromkeys(hidden, cast(ModuleType, None)))
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
