"""What a kind of lesion is, and every kind by name.

A kind is one file in `medsynth/lesions/kinds`, found by itself: its `KIND` says what the request may
set, what lists call it and how DICOM codes it, and its `draw` stands beside. Only the standard
library is needed until something is drawn, so that the request, `medsynth info` and Slicer can read it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

HOME = "medsynth.lesions.kinds"
LOBULATION = "how lobulated the outline is; not with `roi`"
ELONGATION = "longest over shortest axis; not with `roi`"
SPICULES = (
    "how many; around the whole of a lung nodule, of which a single slice shows those it cuts"
)
CONTRAST = (
    "gray values that the lesion's middle, or a calcification of 0.3 mm, adds to the tissue around"
)
SHADOW = "gray values that the lesion adds to what it is superimposed on"
# Value, scheme and meaning, as DICOM codes them.
MASS = ("4147007", "SCT", "Mass")
NODULE = ("27925004", "SCT", "Nodule")


@dataclass(frozen=True)
class Lobes:
    """The bumps of an outline: how many, and how narrow (3: a third of the surface, 30: a knob)."""

    count: int = 14
    sharpness: tuple[float, float] = (3.0, 9.0)


@dataclass(frozen=True)
class Option:
    """One parameter of a kind.

    Attributes:
        name: the key of the request.
        allowed: lowest and highest number, or the words.
        drawn: the range from which it is drawn (uniformly) or the words to choose from, where it is
            not given; None: it follows from the lesion's size.
        meaning: as the reference page says it.
        whole: it is a whole number.
    """

    name: str
    allowed: tuple[Any, ...]
    drawn: tuple[Any, ...] | None
    meaning: str
    whole: bool = False


# What swells around a mass of the brain.
EDEMA = (
    Option("edema", (0.0, 1.5), (0.25, 0.6), "how far edema reaches, in diameters; 0: none"),
    Option(
        "edema_level",
        (0.5, 1.8),
        (0.72, 0.88),
        "gray value of edema relative to the tissue there; above 1 for T2 and FLAIR",
    ),
)


def outline(
    lobulation: tuple[float, float], elongation: tuple[float, float]
) -> tuple[Option, Option]:
    """What every kind's outline can be given, and the ranges from which this one draws it."""
    return (
        Option("lobulation", (0.0, 0.35), lobulation, LOBULATION),
        Option("elongation", (1.0, 2.5), elongation, ELONGATION),
    )


def one_of(name: str, words: tuple[str, ...], meaning: str) -> Option:
    """A parameter that is one of `words`, each as likely where it is not given."""
    return Option(name, words, words, meaning)


def contrast(drawn: tuple[float, float]) -> Option:
    """Of a lesion in a mammogram."""
    return Option("contrast", (5, 120), drawn, CONTRAST)


def shadow(drawn: tuple[float, float]) -> Option:
    """Of a lesion in a chest radiograph."""
    return Option("contrast", (5, 120), drawn, SHADOW)


def margin(drawn: tuple[float, float]) -> Option:
    """Of a mass in a mammogram."""
    return Option("margin_mm", (0.2, 4), drawn, "width over which the edge blurs")


def enhancement(drawn: tuple[float, float]) -> Option:
    """Of a mass after contrast medium."""
    return Option("enhancement", (1.1, 3.0), drawn, "brightness relative to the surrounding tissue")


def lesion_hu(drawn: tuple[float, float]) -> Option:
    """What a solid nodule of the lung is of."""
    return Option("hu", (-50, 150), drawn, "HU of the lesion")


def haze_hu(drawn: tuple[float, float]) -> Option:
    """What ground glass is of."""
    return Option("hu", (-750, -300), drawn, "HU of its haze")


def spicules(drawn: tuple[int, int], *, longest_mm: float) -> tuple[Option, Option]:
    """Strands that run out of a core: how many are drawn unless it is said, and their greatest length."""
    return (
        Option("spicules", (3, 60), drawn, SPICULES, whole=True),
        Option("spicule_length_mm", (1, longest_mm), None, "how long"),
    )


@dataclass(frozen=True)
class Reading:
    """What a radiologist sees of a kind: its usual size, margin and density."""

    size: str
    margin: str
    density: str


@dataclass(frozen=True)
class LesionKind:
    """A kind of lesion.

    Attributes:
        name: as requests say it.
        title: in a radiologist's words and in mid-sentence.
        draw: fills the drawing context, given the options (drawn or given).
        parameters: what can be set, in the order in which it is drawn.
        code: value, scheme and meaning of its segment's property type.
        drawer: which technique of `medsynth.lesions.drawn` puts it into the reference.
        reach_mm: how far the kind may stand out beyond its outline.
        detail_mm: how fine the smallest part is; None: as the lesion's size asks for.
        lobes: the bumps of its outline.
        factor: how closely it is followed unless a request says; None: as its domain has it.
        seen_through: it adds to what it lies upon, as a shadow, instead of taking its place.
        reading: as a radiologist describes it, for galleries; None: not described.
        words: what it makes a radiologist think of.
    """

    name: str
    title: str
    draw: Callable[[Any, dict[str, Any]], Any]
    parameters: tuple[Option, ...]
    code: tuple[str, str, str]
    drawer: str
    reach_mm: float = 0.0
    detail_mm: float | None = None
    lobes: Lobes = field(default_factory=Lobes)
    seen_through: bool = False
    factor: int | None = None
    reading: Reading | None = None
    words: str = ""

    @property
    def options(self) -> dict[str, tuple[Any, ...]]:
        """What each option may be: (lowest, highest), or the words."""
        return {option.name: option.allowed for option in self.parameters}

    @property
    def ranges(self) -> dict[str, tuple[Any, ...]]:
        """What each option that is not given is drawn from."""
        return {o.name: o.drawn for o in self.parameters if o.drawn is not None}


# What the kinds of one organ have in common.
lung_nodule = partial(LesionKind, code=NODULE, drawer="lung")
chest_shadow = partial(LesionKind, drawer="relative", seen_through=True)
brain_mass = partial(LesionKind, code=MASS, drawer="relative")
breast_mass = partial(LesionKind, code=MASS, drawer="projection", detail_mm=0.125)


class _Registry(Mapping[str, LesionKind]):
    """Every kind by name; the files are read when the first is asked for."""

    def __init__(self) -> None:
        self._kinds: dict[str, LesionKind] = {}
        self._read: set[str] = set()

    def discover(self) -> None:
        """Read the files that are new in the kinds' folder.

        Raises:
            ValueError: two files declare one name.
        """
        folder = import_module(HOME).__path__
        for module in pkgutil.iter_modules(folder):
            if module.name in self._read:
                continue
            kind = import_module(f"{HOME}.{module.name}").KIND
            if kind.name in self._kinds:
                raise ValueError(f"two files declare the lesion kind {kind.name!r}")
            self._kinds[kind.name] = kind
            self._read.add(module.name)

    def forget(self, name: str) -> None:
        """Take the kind `name` out, whose file is gone."""
        self._kinds.pop(name, None)
        self._read.discard(name)

    def __getitem__(self, name: str) -> LesionKind:
        if name not in self._kinds:
            self.discover()
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(self._kinds)

    def __len__(self) -> int:
        self.discover()
        return len(self._kinds)


KINDS = _Registry()


def titled(kind: str) -> str:
    """As a list or a heading shows the kind: `Part-solid nodule`."""
    title = KINDS[kind].title
    return title[0].upper() + title[1:]
