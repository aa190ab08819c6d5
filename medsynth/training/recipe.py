"""A training recipe: everything that decides what a network becomes, in one YAML file."""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Data:
    """`root` holds one folder per patient; `held_out` patients never reach the trainer.

    `exclude` drops series whose path below `root` starts with one of these prefixes. `statement` and
    `licence` travel in the header of the weights.
    """

    root: str | None = None
    held_out: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    statement: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Augment:
    """Probabilities and ranges; every draw comes from the step's own generator.

    Flips and whole-pixel shifts keep the noise texture; `affine` (rotation, scale) interpolates and
    therefore smooths it, which is why it is rare.
    """

    flip: float = 0.3
    shift_pixels: int = 32
    affine: float = 0.15
    rotate_deg: float = 8.0
    scale: float = 0.1


@dataclass(frozen=True)
class Reference:
    """What a reference-aware network is told during training.

    `factors` are drawn with `weights`; 0 = no reference. With probability `region` an elliptic
    region of the image has a factor of its own, as a pathology's reference has.
    """

    factors: tuple[int, ...] = (0, 4, 8, 16, 32)
    weights: tuple[float, ...] = (0.2, 0.2, 0.3, 0.2, 0.1)
    region: float = 0.35
    region_factors: tuple[int, ...] = (0, 2, 4, 8)


@dataclass(frozen=True)
class Optimizer:
    """AdamW; the rate rises over `warmup` steps and falls linearly over the last `decay` share."""

    lr: float = 3e-4
    weight_decay: float = 0.01
    warmup: int = 200
    decay: float = 0.3
    clip_norm: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class Phase:
    """`steps` optimizer steps on square crops of `crop` pixels (None: full images)."""

    steps: int
    batch_size: int
    crop: int | None = None


@dataclass(frozen=True)
class Recipe:
    """One network's training.

    `network` are the fields of `PatchUNetConfig`, `schedule` the arguments of
    `medsynth.diffusion.schedule.build`. `workers` processes draw batches ahead (0: none); they
    change the speed, never the batches.
    """

    preset: str
    phases: tuple[Phase, ...]
    data: Data = field(default_factory=Data)
    network: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=lambda: {"kind": "log_snr_linear"})
    prediction_type: str = "v_prediction"
    augment: Augment = field(default_factory=Augment)
    reference: Reference = field(default_factory=Reference)
    optimizer: Optimizer = field(default_factory=Optimizer)
    seed: int = 0
    checkpoint_every: int = 500
    workers: int = 1

    @property
    def steps(self) -> int:
        """All phases together."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that optimizer step `step` (from 0) belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as in the YAML file."""
        return _plain(asdict(self))


def load_recipe(name: str | Path, *, overrides: dict[str, Any] | None = None) -> Recipe:
    """A recipe by the name of a shipped one or by path; `overrides` maps dotted keys to values.

    Raises:
        ValueError: unknown key (with the nearest match), missing key, or a value of a wrong type.
        FileNotFoundError: neither a shipped recipe nor a file.
    """
    shipped = RECIPES / f"{name}.yaml"
    path = shipped if shipped.exists() else Path(name)
    if not path.exists():
        names = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise FileNotFoundError(f"no recipe {name!r}: give a YAML file or one of {names}")
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a mapping, got {type(values).__name__}")
    for key, value in (overrides or {}).items():
        _set(values, key.split("."), value)
    return _build(Recipe, values, where=str(path))


def _set(values: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values[int(key)] if isinstance(values, list) else values.setdefault(key, {})
    if isinstance(values, list):
        values[int(keys[-1])] = value
    else:
        values[keys[-1]] = value


def _build(kind: type, values: Any, *, where: str) -> Any:
    """A dataclass from plain values; nested dataclasses and tuples of them by their annotations."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a mapping, got {values!r}")
    hints = typing.get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            cure = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
            raise ValueError(f"{where}: unknown key {key!r}; {cure}")
    try:
        return kind(**{k: _convert(hints[k], v, where=f"{where}: {k}") for k, v in values.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _convert(hint: Any, value: Any, *, where: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, where=where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(arguments[0], v, where=where) for v in value)
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, where=where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool) and (type(value) is not hint):
        raise ValueError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
