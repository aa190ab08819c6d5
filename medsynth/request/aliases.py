"""Names that requests were once written with, and the names that hold now; the old stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LESION_KINDS = {"haemorrhage": "hemorrhage"}
LESION_OPTIONS = {"oedema": "edema", "oedema_level": "edema_level"}


def lesion_kind(name: Any) -> Any:
    """The name that holds of a lesion kind; what is no old name comes back as it is."""
    return LESION_KINDS.get(name, name) if isinstance(name, str) else name


def lesion_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` under the names that hold.

    Raises:
        ValueError: an option is given under both of its names.
    """
    for old, new in LESION_OPTIONS.items():
        if old in given and new in given:
            raise ValueError(f"{old} is the old name of {new}; give one of them")
    return {LESION_OPTIONS.get(key, key): value for key, value in given.items()}
