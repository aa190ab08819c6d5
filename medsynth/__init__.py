"""Guided synthesis of annotated, clearly marked synthetic medical images.

`import medsynth` is light; what a name needs is loaded when it is used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Public name -> where it is.
_PUBLIC = {
    "synthesize": "medsynth.pipeline.api",
    "estimate": "medsynth.pipeline.api",
    "dataset": "medsynth.factory.api",
    "Synthesis": "medsynth.pipeline.api",
    "Estimate": "medsynth.pipeline.estimate",
    "Request": "medsynth.request",
    "load_request": "medsynth.request",
    "Result": "medsynth.records.result",
    "verify": "medsynth.verification.verify",
    "Verification": "medsynth.verification.verify",
}

# Packages that are public under their own name.
_PACKAGES = ("domains",)

__all__ = ["__version__", *_PUBLIC, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'medsynth' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_PACKAGES})
