"""What a request needs to know, for a program without the module's parameter nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medsynth.scene import vocabulary
from medsynth.scene.vocabulary import FIRST
from medsynth.storage.saved_lesions import SavedLesion


@dataclass
class Settings:
    """The fields of the module's parameter node that `scene.checks` and `scene.request` read."""

    preset: str = FIRST.name
    reference: Any = None
    factor: float = float(FIRST.anatomy_factor)
    stop: float = float(FIRST.anatomy_stop)
    variants: int = 1
    seed: int = 7
    extent: str = "roi"
    background: str = "resynthesize"
    steps: int = FIRST.steps
    sampler: str = FIRST.sampler
    composition: str = vocabulary.COMPOSITIONS[0]
    filter: str = vocabulary.FILTERS[0]
    guidance: str = vocabulary.GUIDANCE[0]
    device: str = vocabulary.DEVICES[0]


@dataclass
class MarkedLesion:
    """The fields of one pathology's parameter node; `where` is what marks its place, in the scene.

    The source is that of a lesion from another volume; its names are those of the parameter node.
    """

    kind: str
    factor: float
    stop: float
    where: Any = None
    diameter: float = 14.0
    sourceVolume: Any = None  # noqa: N815
    sourceMask: Any = None  # noqa: N815
    saved: SavedLesion | None = None  # taken instead of one that is drawn

    @classmethod
    def of(cls, preset: Any) -> MarkedLesion:
        """The preset's first kind, with its factor and stop."""
        first = preset.lesion_kinds[0]
        return cls(first, float(preset.pathology_factor), float(preset.pathology_stop))
