"""Names that weight headers, recipes and training runs were written with, and what they are called now.

Files that users have stay readable: every reader of such a file passes its keys through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

ALIASES = {
    "reference_aware": "reference_conditioned",
    "told_log_snr_min": "conditioned_log_snr_min",
    "texture": "noise_level",
    "low_band_factor": "low_pass_factor",
    "noise_levels": "timestep_sampler",
    "judge_pace": "discriminator_lr_ratio",
    "licence": "license",
    "memorisation": "memorization",
    "low_band_sha256": "low_pass_sha256",
}
# In audit.json of a result, and in what an evaluation keeps of its lesions.
MEASURED = {
    "nearness": "similarity",
    "place": "target",
    "slab": "volume",
    "finding": "detection",
}
# Beginnings of the names of tensors in a run's checkpoint.
TENSOR_ALIASES = {
    "levels.": "timestep_sampler.",
    "judges.judges.": "discriminators.discriminators.",
    "judges_optimizer.": "discriminators_optimizer.",
}
T = TypeVar("T")


def current(
    values: Mapping[str, Any], *, where: str, table: Mapping[str, str] = ALIASES
) -> dict[str, Any]:
    """`values`, and the mappings below it, under today's names, which `table` holds by the old ones.

    Raises:
        ValueError: a key is there under both of its names.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = table.get(key, key)
        if name in found:
            old = next(before for before, now in table.items() if now == name)
            raise ValueError(f"{where}: {name} is there twice, also as {old}; keep {name}")
        found[name] = current(value, where=where, table=table) if isinstance(value, dict) else value
    return found


def current_key(dotted: str) -> str:
    """A dotted key, such as `network.texture`, under today's names."""
    return ".".join(ALIASES.get(part, part) for part in dotted.split("."))


def current_tensors(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of a run's checkpoint under today's names."""
    return {_tensor_name(name): value for name, value in tensors.items()}


def _tensor_name(name: str) -> str:
    for old, new in TENSOR_ALIASES.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
