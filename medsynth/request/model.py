"""What can be asked for: the request as frozen dataclasses, every value already checked.

`medsynth.request.parse` builds these from a mapping and fills in the preset's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth.domains import methods

SAMPLERS = methods.SAMPLERS
COMPOSITIONS = methods.COMPOSITIONS
FILTERS = methods.FILTERS
GENERATORS = methods.GENERATORS
GUIDANCE = ("x0", "x_t")
EXTENTS = ("roi", "all")
BACKGROUNDS = ("resynthesize", "keep")
PATIENTS = ("synthetic", "keep")
EXPORTERS = methods.EXPORTERS
USUAL_EXPORTERS = methods.usual_exporters()
# How result files name the user's files: whole paths, or without the folders they lie in.
PATHS = ("full", "names")
WEIGHTS = ("mask", "gaussian")
NOISES = ("reference", "network")
# `expert`, where it is no file: without one, though the weights name one.
NO_EXPERT = "none"
# Network calls per slice, instead of `steps`.
QUALITIES = {"draft": 2, "standard": 4, "best": 20}
SURROUNDINGS = ("reference", "network")
NOISE_LEVEL = (1.0, 100.0)  # standard deviation, in the preset's units
# Of projections, by the preset's modality: as in medsynth.dicom.projection; a test holds them equal.
VIEWS = {"MG": ("CC", "MLO", "ML", "LM"), "DX": ("PA", "AP", "LL", "RL")}
LATERALITIES = ("L", "R")
# Of a drawn breast: as in medsynth.phantoms.breast.shape; a test holds them equal.
BREAST_WORDS = {
    "view": ("MLO", "CC"),
    "laterality": ("L", "R"),
    "density": ("fatty", "scattered", "heterogeneous", "dense"),
}
PIXEL_MM = (0.01, 10.0)
DEVICES = ("auto", "cpu", "cuda")
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Stop:
    """Where a condition stops acting: below the noise level `sigma`, or after a share of the steps.

    Exactly one is set. `sigma` >= 0 (0: active to the end); `fraction` in (0, 1] (1: to the end).
    """

    sigma: float | None = None
    fraction: float | None = None

    def to_value(self) -> float | dict[str, float]:
        """As a request writes it: a number is sigma."""
        if self.fraction is not None:
            return {"fraction": self.fraction}
        return 0.0 if self.sigma is None else self.sigma


@dataclass(frozen=True)
class OfKind:
    """What is asked for by its `kind`, with options of that kind."""

    kind: str
    options: dict[str, Any]


class Phantom(OfKind):
    """An anatomy that is drawn: its `kind` and the options that `medsynth.phantoms.build` takes."""


@dataclass(frozen=True)
class Labels:
    """A file of labels that the reference already has.

    `names` and `codes` (value, scheme, meaning) say by the file's values what it does not say itself.
    """

    file: Path
    names: dict[int, str] = field(default_factory=dict)
    codes: dict[int, tuple[str, str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Anatomy:
    """The reference that gives the shape: an image, or a phantom (exactly one).

    `view`, `laterality` and `pixel_mm` say what a picture without a DICOM header cannot: how a
    radiograph or mammogram was taken, of which side, and the size of the picture's pixels.
    `burned_in_text` accepts text in the pixels, `defaced` says that a head has no face any more.
    `labels` are what the reference already shows; none: it shows nothing; None: nobody says.
    `slice` (from 1) takes one slice of a volume as the whole reference.
    """

    factor: int
    stop: Stop
    image: Path | None = None
    phantom: Phantom | None = None
    series_uid: str | None = None
    view: str | None = None
    laterality: str | None = None
    pixel_mm: float | None = None
    burned_in_text: bool = False
    defaced: bool = False
    labels: tuple[Labels, ...] | None = None
    slice: int | None = None


@dataclass(frozen=True)
class Source:
    """Where a lesion comes from: drawn (`procedural`), or taken from an annotated study.

    `procedural` holds the kind and its options. `image` and `mask` are a pair, which `saved` names where
    they are those of a saved lesion; `rotate_deg` turns the
    lesion about the slice normal, or about the patient's x, y, z; `scale` multiplies its size;
    `mirror` flips it left to right, or along the patient's axis x, y or z. `patch` says which steps of
    the patch pipeline act on a lesion taken from a projection image, see `medsynth.lesions.patch`.
    """

    procedural: dict[str, Any] | None = None
    image: Path | None = None
    mask: Path | None = None
    series_uid: str | None = None
    rotate_deg: float | tuple[float, float, float] = 0.0
    scale: float = 1.0
    mirror: bool | str = False
    patch: dict[str, Any] | None = None
    saved: str | None = None


@dataclass(frozen=True)
class Pathology:
    """One lesion: a painted `roi`, or a sphere of `diameter_mm`; and its source.

    The sphere's center is `center_mm` in LPS, or `pixel` (column, row, from 0) of a `slice` (from 1).

    `weight` is the map W of its reference: `mask` is 1 on the lesion and fades over `feather_mm`;
    `gaussian` is the paper's spherical Gaussian on a patch of twice the lesion's diameter.
    """

    source: Source
    factor: int
    stop: Stop
    roi: Path | None = None
    center_mm: tuple[float, float, float] | None = None
    diameter_mm: float | None = None
    slice: int | None = None
    pixel: tuple[float, float] | None = None
    weight: str = "mask"


class NamedCondition(OfKind):
    """A condition besides the references, by its `kind`, with every option of it."""


@dataclass(frozen=True)
class Request:
    """One synthesis, fully resolved: every default is filled in, every path is absolute."""

    preset: str
    anatomy: Anatomy
    steps: int
    pathologies: tuple[Pathology, ...] = ()
    extent: str = "all"
    background: str = "resynthesize"
    sampler: str = "dpmpp_2m"
    composition: str = "nested"
    filter: str = "dct"
    guidance: str = "x0"
    conditions: tuple[NamedCondition, ...] = ()
    seed: int = 0
    patient: str = "synthetic"
    paths: str = "full"
    no_pixel_mark: str | None = None
    write: tuple[str, ...] = USUAL_EXPORTERS
    weights: Path | None = None
    expert: Path | str | None = None
    device: str = "auto"
    noise: str | float = "network"
    surroundings: str = "network"
    generator: str = "guided_diffusion"
    margin_mm: float = 6.0
    feather_mm: float = 4.0
