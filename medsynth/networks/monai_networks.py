"""MONAI's networks that are used here, without what `import monai` reads for those that are not.

It reads whatever optional package it finds. transformers alone takes a third of the time in which a command
starts, for one network (TransCheX) that none of ours needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

NOT_NEEDED = "transformers"


@contextmanager
def _not_there(name: str) -> Iterator[None]:
    """A package that is not imported yet cannot be, for a while."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # what Python takes for "there is none"
    try:
        yield
    finally:
        del sys.modules[name]


with _not_there(NOT_NEEDED):
    from monai.networks.nets import VQVAE, AutoencoderKL, DiffusionModelUNet, PatchDiscriminator
    from monai.networks.nets.diffusion_model_unet import get_timestep_embedding

__all__ = [
    "VQVAE",
    "AutoencoderKL",
    "DiffusionModelUNet",
    "PatchDiscriminator",
    "get_timestep_embedding",
]
