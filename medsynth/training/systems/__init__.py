"""Training of the systems that make whole images: each kind of recipe one file, found by its name."""

from __future__ import annotations

from medsynth.registry import Registry

# A file's KIND: `recipe` is its class, `train(recipe, run, ...)` does the work.
KINDS = Registry(__name__, "KIND")
