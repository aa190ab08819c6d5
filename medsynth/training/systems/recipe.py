"""What the recipes of image systems share: where images come from, and reading a recipe by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from medsynth.datasets.settings import Data
from medsynth.registry import unknown
from medsynth.training.recipe import Augment, built, changed

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.training.stopping import Limits

FOLDER = Path(__file__).parent / "recipes"
Made = TypeVar("Made")


@dataclass(frozen=True)
class TrainingSource:
    """Images of one domain: a `share` of every batch, `variants` augmented copies where they are cached.

    `folder` lies below what `--data` names when a recipe has several sources. `measured_positions`: radiographs
    with a finding and no box get the position word of `datasets.opacity`, for frontal chest radiographs.
    """

    preset: str
    folder: str = ""
    share: float = 1.0
    variants: int = 1
    measured_positions: bool = False
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        if not self.share > 0 or self.variants < 1:
            raise ValueError(
                f"share must be above 0 and variants at least 1, got {self.share:g} and {self.variants}"
            )


@dataclass(frozen=True)
class SystemKind:
    """A kind of recipe.

    Attributes:
        title: for people.
        recipe: its class; it has `sources` (of `TrainingSource`).
        train: does the work, or goes on with it, in a folder; what it returns is the file that
            `medsynth generate` takes.
        name: the value of `kind` in the YAML file.
    """

    title: str
    recipe: type
    train: Callable[..., Path]
    name: str = ""


@dataclass(frozen=True)
class TrainingJob:
    """A training as the command line asks for it."""

    run: Path
    device: str = "cpu"
    limits: Limits | None = None
    listener: Listener | None = None


def names() -> list[str]:
    """The shipped recipes of image systems."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(name: str | Path) -> Path | None:
    """The file of an image system's recipe; None: it is a recipe of a network, or nothing."""
    shipped = FOLDER / f"{name}.yaml"
    if shipped.exists():
        return shipped
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return None
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return path if isinstance(values, dict) and "kind" in values else None


def load(
    path: Path, *, data: str | None = None, overrides: dict[str, Any] | None = None
) -> tuple[SystemKind, Any]:
    """The recipe in `path` and its kind; `data` is what its images lie below.

    Raises:
        ValueError: an unknown kind or key, or a value of a wrong type.
    """
    from medsynth.training.systems import KINDS

    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values = changed(values, overrides or {})
    name = str(values.pop("kind", ""))
    if name not in KINDS:
        raise unknown("kind of recipe", name, KINDS)
    kind: SystemKind = KINDS[name].load()
    recipe = built(kind.recipe, values, where=str(path))
    return kind, (recipe if data is None else with_root(recipe, data))


def with_root(recipe: Made, root: str) -> Made:
    """`recipe` whose sources lie in `root`, in folders of their own where there are several."""
    sources: tuple[TrainingSource, ...] = recipe.sources  # type: ignore[attr-defined]
    single = len(sources) == 1
    moved = tuple(
        replace(s, data=replace(s.data, root=str(_below(root, s.folder, single=single))))
        for s in sources
    )
    return replace(recipe, sources=moved)  # type: ignore[type-var]


def _below(root: str, folder: str, *, single: bool) -> Path:
    """One source may be named itself or by the folder that holds it."""
    inside = Path(root) / folder
    return Path(root) if single and not (folder and inside.is_dir()) else inside
