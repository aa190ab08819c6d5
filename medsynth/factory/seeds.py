"""The seed of an image follows from its id and the plan's seed alone.

So any part of a set, in any order, on any number of workers and after any restart is the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Streams of one image, so that a change in one draw moves no other.
STREAMS = ("split", "anatomy", "lesions", "place")
# Lesions add their number to it, and the sum must stay a seed.
BITS = 62


def item_id(number: int) -> str:
    """`000012` for row 12."""
    return f"{number:06d}"


def seed_of(identifier: str, plan_seed: int) -> int:
    """The seed of the image called `identifier`."""
    digest = hashlib.sha256(f"medsynth dataset\0{plan_seed}\0{identifier}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - BITS)


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one part of an image."""
    import numpy as np

    return np.random.default_rng([seed, STREAMS.index(name)])


def rank(text: str, plan_seed: int) -> str:
    """An order of names that looks random and depends on the name and the plan's seed alone."""
    return hashlib.sha256(f"medsynth order\0{plan_seed}\0{text}".encode()).hexdigest()
