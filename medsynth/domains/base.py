"""What a domain is: units, windows, grid, the map between physical units and the network's [-1, 1].

No torch here, and numpy only once pixels are there: presets are read by the command line before
anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING

from medsynth.marking import limits
from medsynth.marking.bands import COARSE, FINE
from medsynth.marking.limits import MarkLimits

if TYPE_CHECKING:
    import numpy as np


GRAY = "gray value"
# By whose moves distilled networks learned (`medsynth.diffusion.distillation`).
DISTILLED_SAMPLER = "ddim_log_snr"


@dataclass(frozen=True)
class Window:
    """A display window in physical units: `center` -/+ `width` / 2."""

    name: str
    center: float
    width: float

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that is told apart on the screen."""
        return self.center - self.width / 2, self.center + self.width / 2

    def to_8_bit(self, values: np.ndarray) -> np.ndarray:
        """What a screen shows of `values` in physical units, uint8."""
        import numpy as np

        low, high = self.limits
        return (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class IntensityMap:
    """Monotone piecewise-linear map between physical units and [-1, 1], exactly invertible.

    `physical` and `unit` are the knots, both strictly increasing, `unit` from -1 to 1. A steeper
    piece gives that range of tissue more of the network's resolution (a compander). Values outside
    the first and last knot cannot be represented; `clipped_fraction` says how many there are.
    """

    physical: tuple[float, ...]
    unit: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for knots in (self.physical, self.unit) for a, b in pairwise(knots))
        if len(self.physical) != len(self.unit) or not rising:
            raise ValueError(
                f"knots must be two strictly increasing lists of one length, got "
                f"{self.physical} and {self.unit}"
            )
        if self.unit[0] != -1 or self.unit[-1] != 1:
            raise ValueError(f"unit knots must run from -1 to 1, got {self.unit}")

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """Physical units to [-1, 1], float32; values beyond the end knots become -1 or 1."""
        import numpy as np

        return np.interp(values, self.physical, self.unit).astype(np.float32)

    def from_unit(self, values: np.ndarray) -> np.ndarray:
        """[-1, 1] to physical units, float32; the inverse of `to_unit`."""
        import numpy as np

        return np.interp(values, self.unit, self.physical).astype(np.float32)

    def clipped_fraction(self, values: np.ndarray) -> float:
        """Share of `values` that lies beyond the end knots."""
        import numpy as np

        low, high = self.physical[0], self.physical[-1]
        return float(np.mean((values < low) | (values > high)))


@dataclass(frozen=True)
class NoisyTissue:
    """A tissue whose noise is measured and made up (`medsynth.diffusion.scanner_noise`).

    Measured where the smoothed image lies in `measured`, (low, high) in physical units. Added from
    `faded`, (none, all), upwards, unless a tissue further up takes over. `share`: of its standard
    deviation, in that of the first tissue, where a reference has no noise to measure.
    """

    name: str
    measured: tuple[float, float]
    faded: tuple[float, float]
    share: float = 1.0


@dataclass(frozen=True)
class OrganFinder:
    """Where the lesions of a domain belong.

    Attributes:
        name: as messages say it.
        find: values (k, j, i) of whole slices in the domain's units, their spacing (i, j, k) in mm
            and `body_threshold` to a boolean array; the function, or `module:name` of it, so that a
            domain's file loads nothing heavy.
        must_hold: a lesion that leaves it is refused; else one whose center lies outside is drawn,
            with a warning, and must only stay in the body.
    """

    name: str
    find: str | Callable[..., np.ndarray]
    must_hold: bool = True

    @property
    def finder(self) -> Callable[..., np.ndarray]:
        """`find` as a function."""
        if not isinstance(self.find, str):
            return self.find
        module, _, name = self.find.partition(":")
        finder: Callable[..., np.ndarray] = getattr(import_module(module), name)
        return finder


@dataclass(frozen=True)
class Tissue:
    """`peak`: where its histogram peak is looked for; `texture`: values, smoothed, that are it."""

    peak: tuple[float, float]
    texture: tuple[float, float] | None = None


@dataclass(frozen=True)
class FewCalls:
    """`calls` calls of `DISTILLED_SAMPLER` with `expert`, a shipped network distilled to just these."""

    calls: int
    expert: str


@dataclass(frozen=True)
class Preset:
    """One domain: everything that differs between lung CT, mammography, X-ray and so on.

    `grid` is (H, W) of the images trained on. `pixel_mm` is the size of their pixels where projection images of
    any scanner are brought to one scale; None: they fill the grid, whatever their size.
    `trained_pixel_mm` is the smallest and largest pixel trained on, where a reference is taken as it
    is; None: it is brought to the scale or the grid.
    `low_pass_weights` draw the low-pass images of unguided images, where there is such a network.
    `experts` are the shipped networks for its fine levels, which a request may call by their names.
    `few_calls`: what a request of so many calls is drawn with that names neither expert nor sampler.
    `noisy_tissues`: where a scanner's noise is known to be noise; none: it is left to the network.
    `noise`, `surroundings`: what a request's keys of these names are without one.
    `has_surroundings`: a reference may say what lies around the body, or where a projection image ends.
    `organ` is where its lesions belong. `body_part` is DICOM's Body Part Examined. `shown_hu` is the
    window (center, width) in which a reference in HU is shown to a network of display units.
    `patch_pipeline`: lesions of annotated images go through `medsynth.lesions.patch`. `tissues` have
    known values in its units. `typical`: between which values the numbers of
    `medsynth.images.appearance` lie; of others a reference is said not to look like one of the domain. `places` are where a data set may put lesions, the usual one first, and
    `structures` what it can keep them away from. Lists show domains by `rank`, then by name.
    """

    name: str
    title: str
    modality: str
    units: str
    windows: tuple[Window, ...]
    intensity: IntensityMap
    grid: tuple[int, int]
    weights: str
    anatomy_factor: int
    anatomy_stop: float
    pathology_factor: int
    pathology_stop: float
    pixel_mm: float | None = None
    trained_pixel_mm: tuple[float, float] | None = None
    steps: int = 20
    sampler: str = "dpmpp_2m"
    air: float = -1024.0
    body_threshold: float = -500.0
    lesion_kinds: tuple[str, ...] = ()
    phantoms: tuple[str, ...] = ()
    low_pass_weights: str | None = None
    experts: tuple[str, ...] = ()
    few_calls: FewCalls | None = None
    noisy_tissues: tuple[NoisyTissue, ...] = ()
    noise: str = "network"
    has_surroundings: bool = False
    surroundings: str = "network"
    organ: OrganFinder | None = None
    body_part: str | None = None
    shown_hu: tuple[float, float] | None = None
    patch_pipeline: bool = False
    tissues: Mapping[str, Tissue] = field(default_factory=dict)
    places: Mapping[str, OrganFinder] = field(default_factory=dict)
    structures: Mapping[str, OrganFinder] = field(default_factory=dict)
    typical: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rank: int = 100

    @property
    def in_display_units(self) -> bool:
        """Whether the values are gray values of a display rather than a physical unit."""
        return self.units == GRAY

    @property
    def mark_limits(self) -> MarkLimits:
        """Of the mark in the pixels of its images."""
        span = (self.intensity.physical[0], self.intensity.physical[-1])
        if self.in_display_units:
            # A chest radiograph's noise is below one gray value: JPEG leaves nothing of what is finer.
            band = COARSE if self.modality == "DX" else FINE
            return MarkLimits(limits.GRAY, limits.GRAY_QUIET, self.body_threshold, span, band, span)
        widest = max(self.windows, key=lambda window: window.width)
        return MarkLimits(
            limits.HU, limits.HU, self.air + limits.AIR_HU, span, COARSE, widest.limits
        )

    def drawn_with(self, calls: int) -> tuple[str | None, str]:
        """Expert (None: as the weights say) and sampler of so many calls, where nobody names another."""
        few = self.few_calls
        return (
            (few.expert, DISTILLED_SAMPLER) if few and few.calls == calls else (None, self.sampler)
        )

    @property
    def is_projection(self) -> bool:
        """Whether its images are single projection images rather than slices of a patient."""
        return self.modality in ("CR", "DX", "MG")
