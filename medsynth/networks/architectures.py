"""Networks by the name that `network.architecture` of a recipe or of a weights file's header gives.

A new one is a file in this folder with a statement `ARCHITECTURE = Method(title, make)`: `make` reads
the other values of `network` and returns a `NetworkConfig`. Without a name it is the first there was.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from medsynth.networks.base import NetworkConfig
from medsynth.registry import Registry

ARCHITECTURES = Registry("medsynth.networks", "ARCHITECTURE")
FIRST = "patch_unet"


def network_config(values: Mapping[str, Any]) -> NetworkConfig:
    """The configuration that `network` of a recipe or a header describes.

    Raises:
        ValueError: an architecture that is not there, or values that cannot be.
        TypeError: names that the architecture does not have.
    """
    name = values.get("architecture", FIRST)
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(str(name), ARCHITECTURES, n=1)
        cure = f"did you mean {near[0]}?" if near else f"expected {', '.join(ARCHITECTURES)}"
        raise ValueError(f"no network architecture {name!r}; {cure}")
    own = {key: value for key, value in values.items() if key != "architecture"}
    config: NetworkConfig = ARCHITECTURES[name].load().make(own)
    return config
