"""A training recipe: everything that decides what a network becomes, in one YAML file."""

from __future__ import annotations

import difflib
import math
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from medsynth.datasets.settings import Data
from medsynth.errors import check_one_of
from medsynth.storage import aliases

RECIPES = Path(__file__).parent / "recipes"
# Those of the systems that make whole images, which `medsynth.training.systems` reads.
SYSTEM_RECIPES = Path(__file__).parent / "systems" / "recipes"


@dataclass(frozen=True)
class Augment:
    """Probabilities and ranges; every draw comes from the step's own generator.

    `flip` is the chance that left and right are exchanged, `flip_rows` that top and bottom are, for
    a network that learns texture and not anatomy.

    `affine` is the chance of a rotation by up to `rotate_deg`, a scale within 1 -/+ `scale`, and a
    `stretch`: rows by up to 1 + stretch, columns by as much less, which makes new shapes.

    Flips and whole-pixel shifts keep the noise texture; `affine` (rotation, scale) interpolates and
    therefore smooths it, which is why it is rare.
    """

    flip: float = 0.3
    flip_rows: float = 0.0
    shift_pixels: int = 32
    affine: float = 0.15
    rotate_deg: float = 8.0
    scale: float = 0.1
    stretch: float = 0.0


@dataclass(frozen=True)
class ReferenceOptions:
    """What a reference-conditioned network is conditioned on during training.

    `factors` are drawn with `weights`; 0 = no reference. With probability `region` an elliptic
    region of the image has a factor of its own, as a pathology's reference has. Images that a
    reference covers wholly are noised to `log_snr_min` at most (None: the schedule's end): beyond it
    noise hides all that the reference leaves open, and sampling begins there.
    """

    factors: tuple[int, ...] = (0, 4, 8, 16, 32)
    weights: tuple[float, ...] = (0.2, 0.2, 0.3, 0.2, 0.1)
    region: float = 0.35
    region_factors: tuple[int, ...] = (0, 2, 4, 8)
    log_snr_min: float | None = None


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
class TimestepSamplerOptions:
    """How often each noise level is trained (see `medsynth.training.timestep_samplers`).

    `uniform` over the training timesteps; `log_normal`: ln sigma ~ N(`loc`, `scale`^2), by default
    -2 and 1.2; `loss_second_moment`: where the losses are large, from the last `history` (10) losses
    of each of `bins` (all timesteps) groups of timesteps.

    Raises:
        ValueError: an unknown kind, an option of another kind, or a scale that is not positive.
    """

    kind: str = "uniform"
    loc: float | None = None
    scale: float | None = None
    history: int | None = None
    bins: int | None = None

    def __post_init__(self) -> None:
        check_one_of("timestep_sampler: kind", self.kind, TIMESTEP_SAMPLER_OPTIONS)
        for f in fields(self)[1:]:
            if (
                getattr(self, f.name) is not None
                and f.name not in TIMESTEP_SAMPLER_OPTIONS[self.kind]
            ):
                raise ValueError(f"timestep_sampler: {f.name} does nothing with kind {self.kind}")
        if self.scale is not None and not self.scale > 0:
            raise ValueError(f"timestep_sampler: scale must be above 0, got {self.scale:g}")


TIMESTEP_SAMPLER_OPTIONS = {
    "uniform": (),
    "log_normal": ("loc", "scale"),
    "loss_second_moment": ("history", "bins"),
}


@dataclass(frozen=True)
class Distillation:
    """Few calls instead of many (`medsynth.diffusion.distillation`): the network that a run starts from
    is the teacher, whose solver makes `teacher_steps` steps in each of the student's `calls`. Sampling
    begins at `log_snr_min` (None: `reference.log_snr_min`); calls below that of the reference are
    another network's.
    """

    calls: int = 4
    teacher_steps: int = 4
    log_snr_min: float | None = None

    def __post_init__(self) -> None:
        if self.calls < 1 or self.teacher_steps < 2:
            raise ValueError(
                f"distillation: calls must be at least 1 and teacher_steps at least 2, got {self.calls} "
                f"and {self.teacher_steps}"
            )


@dataclass(frozen=True)
class SampleOptions:
    """Sample sheets while training: every `every` steps (0: never), `count` images of each kind.

    Unguided, and guided by the low-pass image (`factor`) of held-out slices where there are any.
    """

    every: int = 1000
    count: int = 2
    steps: int = 12
    factor: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Refinement:
    """How `medsynth refine` trains a refiner for the recipe's network.

    `images` pairs of crops of `crop` pixels are made, the synthetic ones guided with `factors`, drawn
    with `weights`, in `sampling_steps` network calls each. Then discriminators and refiner take turns
    for `steps` steps on `batch_size` patches of `patch` pixels: AdamW with rate `lr` (the
    discriminators' is `discriminator_lr_ratio` times that; as slow as the refiner they lose too
    early), `warmup`, a linear `decay` over the last share of the steps, and an average with `ema`.
    `network` are fields of `RefinerConfig`.
    """

    images: int = 400
    crop: int = 256
    factors: tuple[int, ...] = (4, 8, 16)
    weights: tuple[float, ...] = (0.2, 0.6, 0.2)
    sampling_steps: int = 20
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 4000
    batch_size: int = 12
    patch: int = 64
    lr: float = 3e-4
    discriminator_lr_ratio: float = 4.0
    warmup: int = 100
    decay: float = 0.4
    ema: float = 0.998
    gradient_penalty: float = 0.05
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        if len(self.factors) != len(self.weights) or not self.factors or min(self.factors) < 2:
            raise ValueError(
                f"refinement needs factors of at least 2 and a weight for each, got "
                f"{list(self.factors)} and {list(self.weights)}"
            )
        if min(self.images, self.steps, self.batch_size, self.sampling_steps) < 1:
            raise ValueError(
                "refinement.images, steps, batch_size and sampling_steps must be at least 1"
            )
        if not (min(self.weights) >= 0 and 0 < sum(self.weights) < math.inf):
            raise ValueError(
                f"refinement.weights must be at least 0 and not all 0, got {list(self.weights)}"
            )
        if not max(8, *self.factors) <= self.patch <= self.crop:
            raise ValueError(
                "refinement.patch must be at least 8 and the largest factor, and at most "
                f"refinement.crop, got patch {self.patch}, crop {self.crop} and factors "
                f"{list(self.factors)}"
            )
        self._check_teaching()

    def _check_teaching(self) -> None:
        for name, low, high in (
            ("lr", 0.0, math.inf),
            ("discriminator_lr_ratio", 0.0, math.inf),
            ("warmup", 0, math.inf),
            ("decay", 0.0, 1.0),
            ("ema", 0.0, 1.0),
            ("gradient_penalty", 0.0, math.inf),
            ("checkpoint_every", 1, math.inf),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"refinement.{name} must lie in {low:g} ... {high:g}, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class Recipe:
    """One network's training.

    `network` are the fields of `PatchUNetConfig`, `schedule` the arguments of
    `medsynth.diffusion.schedule.build`. `residual_std` lets a reference-conditioned network predict the
    residual to the low-pass image at its own scale (`medsynth.diffusion.preconditioning`),
    `noise_level` is the scale of a network with `network.noise_level`
    (`medsynth.diffusion.noise_level`). `vlb_weight` belongs
    to a learned variance (None: 0.001). With `low_pass_factor` the network draws low-pass images of that
    factor instead of images, on a grid that much coarser (`medsynth.generators.cascade`). An `expert`
    is for the levels above `reference.log_snr_min` alone, behind a reference; other weights do the rest
    (`medsynth.networks.experts`). `distillation` makes an expert of few calls out of one of many.
    `precision` is what the network computes in: float32, bfloat16, or `auto`, the fastest here.
    `workers` processes draw batches ahead (0: none), `compile` runs the network through
    torch.compile, `data_on_device` keeps the images in the GPU's memory and draws batches there;
    they change the speed, not what is drawn.
    """

    preset: str
    phases: tuple[Phase, ...]
    data: Data = field(default_factory=Data)
    network: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=lambda: {"kind": "log_snr_linear"})
    prediction_type: str = "v_prediction"
    timestep_sampler: TimestepSamplerOptions = field(default_factory=TimestepSamplerOptions)
    residual_std: dict[int, float] | None = None
    noise_level: dict[str, list[float]] | None = None
    vlb_weight: float | None = None
    low_pass_factor: int | None = None
    expert: bool = False
    distillation: Distillation | None = None
    augment: Augment = field(default_factory=Augment)
    reference: ReferenceOptions = field(default_factory=ReferenceOptions)
    optimizer: Optimizer = field(default_factory=Optimizer)
    seed: int = 0
    checkpoint_every: int = 500
    samples: SampleOptions = field(default_factory=SampleOptions)
    refinement: Refinement = field(default_factory=Refinement)
    workers: int = 1
    precision: str = "auto"
    compile: bool = False
    data_on_device: bool = False

    def __post_init__(self) -> None:
        if self.reference.log_snr_min is not None and self.timestep_sampler.kind != "uniform":
            raise ValueError(
                f"reference.log_snr_min cuts uniform noise levels short; with timestep_sampler.kind "
                f"{self.timestep_sampler.kind} leave it out"
            )
        if bool(self.noise_level) != bool(self.network.get("noise_level")):
            raise ValueError(
                "noise_level (its scale) and network.noise_level (to be conditioned on it) go together; set both or "
                "neither"
            )
        if self.expert and (self.reference.log_snr_min is None or 0 in self.reference.factors):
            raise ValueError(
                "an expert has a reference in every sample and the levels above a log-SNR: set "
                "reference.log_snr_min and leave 0 out of reference.factors"
            )
        if self.distillation is not None and not (self.expert and self.residual_std):
            raise ValueError("distillation is for an expert with residual_std: set both")
        if self.low_pass_factor is not None:
            if self.low_pass_factor < 2:
                raise ValueError(f"low_pass_factor must be at least 2, got {self.low_pass_factor}")
            if self.network.get("reference_conditioned"):
                raise ValueError(
                    "low_pass_factor is for a network that draws what others are conditioned on; leave out "
                    "network.reference_conditioned"
                )

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
        return plain(asdict(self))


def load_recipe(name: str | Path, *, overrides: dict[str, Any] | None = None) -> Recipe:
    """A recipe by the name of a shipped one or by path; `overrides` maps dotted keys to values.

    Raises:
        ValueError: unknown key (with the nearest match), missing key, or a value of a wrong type.
        FileNotFoundError: neither a shipped recipe nor a file.
    """
    shipped = RECIPES / f"{name}.yaml"
    path = shipped if shipped.exists() else Path(name)
    if not path.exists():
        shipped_recipes = [*RECIPES.glob("*.yaml"), *SYSTEM_RECIPES.glob("*.yaml")]
        names = ", ".join(sorted(p.stem for p in shipped_recipes))
        raise FileNotFoundError(f"no recipe {name!r}: give a YAML file or one of {names}")
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a mapping, got {type(values).__name__}")
    values = changed(aliases.current(values, where=str(path)), overrides or {})
    recipe: Recipe = built(Recipe, values, where=str(path))
    return recipe


def changed(values: Any, overrides: dict[str, Any]) -> Any:
    """`values` in which dotted keys have other values."""
    for key, value in overrides.items():
        _set(values, aliases.current_key(key).split("."), value)
    return values


def _set(values: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values[int(key)] if isinstance(values, list) else values.setdefault(key, {})
    if isinstance(values, list):
        values[int(keys[-1])] = value
    else:
        values[keys[-1]] = value


def built(kind: type, values: Any, *, where: str) -> Any:
    """A dataclass from plain values; nested dataclasses and tuples of them by their annotations.

    Raises:
        ValueError: an unknown key (with the nearest match), a missing key, or a value of a wrong type.
    """
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


def _convert(annotation: Any, value: Any, *, where: str) -> Any:
    if isinstance(annotation, type) and is_dataclass(annotation):
        return built(annotation, value, where=where)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(arguments[0], v, where=where) for v in value)
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, where=where)
    if annotation is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if annotation in (int, str, bool) and (type(value) is not annotation):
        raise ValueError(f"{where}: expected {annotation.__name__}, got {value!r}")
    return value


def plain(value: Any) -> Any:
    """As JSON and YAML give it back: tuples are lists."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value
