"""A plan of a data set: what is asked for, every value checked, every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth.factory.distributions import Distribution

FORMAT = "medsynth dataset 1"
SPLITS = ("train", "validation", "test")
LARGEST_COUNT = 999_999  # ids have six digits
# Keys of a request that hold for every image, and are checked as a request's are.
REQUEST_KEYS = (
    *("generator", "sampler", "steps", "quality", "composition", "filter", "guidance", "noise"),
    *("weights", "expert", "background", "surroundings", "device", "feather_mm"),
)
NEAR_COPIES = ("refuse", "keep")


@dataclass(frozen=True)
class AnatomySource:
    """Where references come from: `images` (a path or glob, or several), or a `phantom` that is drawn.

    Attributes:
        layout: how a collection lies on disk, one of `medsynth.datasets.layouts`; "": found out.
        persons: how many persons are drawn of a phantom; None: another one for each image.
        license: of the images, for the card; "": nobody says.
        labels: masks of findings that the images already have: a path that may be relative to the
            image's folder; `[]`: they have none; None: nobody says.
        anatomy: further keys of a request's anatomy (pixel_mm, view, laterality ...).
        in_turn: each image takes the next reference instead of any.
    """

    weight: float
    factor: Distribution
    images: tuple[str, ...] = ()
    layout: str = ""
    phantom: Mapping[str, Any] | None = None
    persons: int | None = None
    license: str = ""
    labels: str | tuple[()] | None = None
    anatomy: Mapping[str, Any] = field(default_factory=dict)
    in_turn: bool = False

    @property
    def name(self) -> str:
        """As messages and the card call it."""
        return f"phantom {self.phantom['kind']}" if self.phantom else ", ".join(self.images)


@dataclass(frozen=True)
class LesionSource:
    """Where lesions come from: `kinds` that are drawn, with `options`, or annotated `studies`."""

    weight: float
    factor: Distribution | None = None
    kinds: tuple[str, ...] = ()
    options: Mapping[str, Distribution | str | tuple[str, ...]] = field(default_factory=dict)
    studies: tuple[str, ...] = ()
    layout: str = ""
    license: str = ""

    @property
    def name(self) -> str:
        """As the card calls it."""
        return "studies " + ", ".join(self.studies) if self.studies else ", ".join(self.kinds)


@dataclass(frozen=True)
class LesionPlace:
    """Where lesions may lie: the region `where` of the domain, and how far from other things.

    `away_from`: structures of the domain and the least distance to the lesion's edge in mm.
    `pleural`: the share of lesions that touch the region's border. `min_distance_mm`: from edge to edge
    of two lesions of one image.
    """

    where: str
    away_from: Mapping[str, float] = field(default_factory=dict)
    pleural: float = 0.0
    min_distance_mm: float = 5.0


@dataclass(frozen=True)
class Pathologies:
    """How many images have lesions (`share`), how many each has (`count`), and what they are."""

    share: float
    count: Mapping[int, float]
    sources: tuple[LesionSource, ...]
    diameter_mm: Distribution
    place: LesionPlace


@dataclass(frozen=True)
class AuditPlan:
    """Comparison with the images that the network was trained on, below `data`, as `recipe` says."""

    data: Path
    recipe: str
    near_copies: str = "refuse"


@dataclass(frozen=True)
class Plan:
    """One data set.

    `slices`: `lesion` (a picture of one slice through a lesion), a number (the same, from that many
    slices of each volume), `all` (whole volumes). `request` holds keys of every image's request.
    `base` is the folder where relative paths start.
    """

    preset: str
    count: int
    anatomies: tuple[AnatomySource, ...]
    pathologies: Pathologies | None
    slices: str | int
    split: Mapping[str, float]
    write: tuple[str, ...]
    audit: AuditPlan | None
    seed: int
    threads: int
    request: Mapping[str, Any]
    base: Path

    @property
    def pictures(self) -> bool:
        """Whether each image is one slice."""
        return self.slices != "all"
