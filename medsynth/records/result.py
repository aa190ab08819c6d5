"""What came out of one synthesis, as `result.json` records it."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medsynth import __version__

FILE = "result.json"
RECORDED_PACKAGES = ("torch", "monai", "numpy", "SimpleITK", "pydicom", "highdicom")


@dataclass(frozen=True)
class Checkpoint:
    """The weights that were used: file name and SHA-256 of the file; and those of their expert."""

    name: str
    sha256: str
    iterations: int | None = None
    expert: Checkpoint | None = None


@dataclass(frozen=True)
class GuidanceError:
    """How far the low-pass image of the result is from the reference's, as a share of the image's std.

    `condition` is `anatomy` or `pathologies[0]`; `error` is
    rms(phi(result) - phi(reference)) / std(reference), network units, where the condition acts.
    """

    condition: str
    factor: int
    stop: float | dict[str, float]
    error: float


@dataclass(frozen=True)
class LesionMeasurement:
    """One lesion, measured in the result inside its mask, and the parameters it was drawn with.

    `mask` is its file; None where only DICOM was asked for.
    """

    mask: str | None
    mean: float
    mean_around: float
    diameter_mm: float
    centroid_mm: tuple[float, float, float]
    voxels: int
    drawn: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExistingLabel:
    """A label that the reference already had, in the file `mask` (None: only in DICOM).

    `code` is the DICOM SEG's type.
    """

    mask: str | None
    name: str
    code: tuple[str, str, str]
    source: str
    value: int
    voxels: int
    volume_mm3: float
    centroid_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Result:
    """Everything worth knowing about a finished synthesis besides its pixels.

    `nfe` counts network forward passes per sample; it, `sampler`, `dtype` and `checkpoint` are None
    of a generator that has none. `seconds` per stage; `slices` are the indices
    (first, last) that were synthesized; `threads` computed (another number rounds sums differently);
    `coherence` is, per window, the mean difference of
    neighboring slices of the result over that of the reference; `clipped` the share of voxels per
    image that the preset's intensity map could not represent. `reference` says how the anatomy's
    image was brought onto the network's grid and gray values; empty where it was taken as it is.
    `conditions` is, by kind, how far the worst slice is off what the condition asks, in its own unit.
    `noise` is, by tissue, the standard deviation of the noise: of the reference (or as asked for), of
    the sample, and of what was added; mean over the slices. `surroundings`: where these are the
    reference's, `error` as in `GuidanceError`; empty where they are the network's.
    `pixel_mark` says whether the pixels carry the mark, with which key, how strong it is, and what it
    adds to the low-pass image of the anatomy; or why there is none. `digests` is the registry of the
    result: by slice, SHA-256 of its values (`medsynth verify` compares them).
    `labels` are those that the reference already had, apart from the new `lesions`.
    `audited` becomes true when `medsynth audit` has compared the image with the training images; what
    it found stands in audit.json.
    """

    seed: int
    slices: tuple[int, int]
    generator: str = "guided_diffusion"
    nfe: int | None = None
    sampler: str | None = None
    device: str = "cpu"
    dtype: str | None = None
    checkpoint: Checkpoint | None = None
    threads: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    guidance_errors: tuple[GuidanceError, ...] = ()
    conditions: dict[str, float] = field(default_factory=dict)
    coherence: dict[str, float] = field(default_factory=dict)
    noise: dict[str, dict[str, float]] = field(default_factory=dict)
    pixel_mark: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    surroundings: dict[str, float] = field(default_factory=dict)
    lesions: tuple[LesionMeasurement, ...] = ()
    labels: tuple[ExistingLabel, ...] = ()
    clipped: dict[str, float] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    dicom: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=lambda: software_versions())
    created: str = field(default_factory=lambda: _now())
    synthetic: bool = True
    audited: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values only; a figure that is not finite becomes null."""
        return _plain(asdict(self))

    def write(self, path: Path | str, *, shown: Callable[[Any], Any] = lambda value: value) -> None:
        """`result.json`; `shown` says how paths appear in it, see `medsynth.request.shown_paths`."""
        text = json.dumps(shown(self.to_dict()), indent=2, allow_nan=False, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


def software_versions() -> dict[str, str]:
    """Versions of medsynth, Python and the packages that shape a result, without importing them."""
    versions = {"medsynth": __version__, "python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # numpy and torch scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
