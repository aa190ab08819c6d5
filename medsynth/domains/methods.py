"""What a request may ask for by name, and in which package each file of a kind is found.

Nothing here imports torch: a `Registry` reads the declaration in each file without running it, see
`medsynth.registry`.
"""

from __future__ import annotations

from medsynth.registry import Registry

SAMPLERS = Registry("medsynth.diffusion.samplers", "SAMPLER")
COMPOSITIONS = Registry("medsynth.diffusion.guidance", "COMPOSITION")
CONDITIONS = Registry("medsynth.diffusion.guidance", "CONDITION")
FILTERS = Registry("medsynth.diffusion.guidance.filters", "FILTER")
GENERATORS = Registry("medsynth.generators", "GENERATOR")
EXPORTERS = Registry("medsynth.pipeline.exporters", "EXPORTER")


def usual_exporters() -> tuple[str, ...]:
    """Those of a request that names none."""
    return tuple(name for name, entry in EXPORTERS.items() if entry.facts.get("default"))


def exported_files() -> tuple[str, ...]:
    """Patterns of the names that exporters leave in OUT."""
    return tuple(file for entry in EXPORTERS.values() for file in entry.facts["files"])
