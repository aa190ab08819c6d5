"""Is a lesion that was asked for there? Many small requests, each beside its lesion-free control.

The control is the same slice from the same seed, the same noise and the same anatomy without the lesion,
so that their difference is what the lesion's reference brought about and nothing else.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.diffusion.denoiser import Denoiser
from medsynth.domains import Preset
from medsynth.evaluation.lesion_fidelity.targets import REACH_MM, HeldOutVolume, Target
from medsynth.events import Listener, Stage, ignore
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.images import ReferenceImage
from medsynth.lesions import Lesion, procedural
from medsynth.lesions.lesion import equivalent_diameter_mm
from medsynth.pipeline.generate import generate
from medsynth.pipeline.plan import Prepared, Region, region_of
from medsynth.request import Anatomy, Pathology, Phantom, Request, Source, Stop
from medsynth.storage import aliases

# The diameter that is found may be off by this share of what was asked.
TOLERANCE = 0.25
# What is thinner than twice this is no part of the lesion: a reader's outline leaves spicules out.
STRAND_MM = 1.5


@dataclass(frozen=True)
class Detection:
    """What came of it: `off_mm` is from the centroid asked for to the one found.

    `measured_mm` is 0 and `off_mm` infinite where nothing rises above the threshold.
    """

    target: Target
    measured_mm: float
    off_mm: float
    inside: bool
    contrast_hu: float

    @property
    def found(self) -> bool:
        """The centroid lies in the region asked for, and the diameter is within `TOLERANCE`."""
        expected = self.target.diameter_mm
        return self.inside and abs(self.measured_mm - expected) <= TOLERANCE * expected

    def to_dict(self) -> dict:
        """For JSON."""
        return {**asdict(self), "found": self.found}

    @classmethod
    def from_dict(cls, record: dict) -> Detection:
        """The inverse of `to_dict`."""
        record = aliases.current(record, where="a detection", table=aliases.MEASURED)
        target = Target(**{**record["target"], "center_mm": tuple(record["target"]["center_mm"])})
        values = {k: v for k, v in record.items() if k not in ("target", "found")}
        return cls(target=target, **values)


@dataclass(frozen=True, eq=False)
class Setting:
    """How the requests are made; None takes the preset's value. Figures hold for one setting.

    `weights` identifies the network in the records, such as by its SHA-256.
    """

    denoiser: Denoiser
    preset: Preset
    weights: str = ""
    steps: int = 20
    seed: int = 0
    anatomy_factor: int | None = None
    pathology_factor: int | None = None
    feather_mm: float = 4.0
    sampler: str | None = None
    composition: str = "nested"
    device: str = "cpu"

    def request(self) -> Request:
        """The request without a lesion. The phantom only fills a field that nobody reads."""
        return Request(
            preset=self.preset.name,
            anatomy=Anatomy(
                factor=self.anatomy_factor or self.preset.anatomy_factor,
                stop=Stop(sigma=self.preset.anatomy_stop),
                phantom=Phantom("thorax", {}),
            ),
            steps=self.steps,
            sampler=self.sampler or self.preset.sampler,
            composition=self.composition,
            seed=self.seed,
            feather_mm=self.feather_mm,
        )

    def pathology(self, target: Target) -> Pathology:
        """The lesion of `target`; its shape is drawn from its number."""
        return Pathology(
            source=Source(procedural={"kind": target.kind, "seed": self.seed + target.number}),
            factor=self.pathology_factor or self.preset.pathology_factor,
            stop=Stop(sigma=self.preset.pathology_stop),
            center_mm=target.center_mm,
            diameter_mm=target.diameter_mm,
        )

    def to_dict(self) -> dict:
        """What a figure has to be read with."""
        request = self.request()
        return {
            "weights": self.weights,
            "nfe": self.steps,
            "sampler": request.sampler,
            "composition": self.composition,
            "seed": self.seed,
            "anatomy_factor": request.anatomy.factor,
            "pathology_factor": self.pathology_factor or self.preset.pathology_factor,
            "feather_mm": self.feather_mm,
        }


def find_all(
    targets: Sequence[Target],
    volumes: dict[str, HeldOutVolume],
    setting: Setting,
    *,
    progress: Path | None = None,
    listener: Listener = ignore,
) -> tuple[list[Detection], list[np.ndarray]]:
    """Every request of `targets`, measured; with a picture of each that was not found.

    The lesion-free control is made once per volume. `progress` keeps what was measured, one JSON line each:
    a call with the same file and setting goes on where the last one ended (pictures are only drawn of
    failures that this call met).
    """
    done = _read_progress(progress, setting)
    detections, pictures = [], []
    controls: dict[str, np.ndarray] = {}
    with Stage("placing nodules", total=len(targets), listener=listener) as stage:
        for target in targets:
            detection = done.get(target)
            if detection is None:
                volume = volumes[target.volume]
                if target.volume not in controls:
                    controls[target.volume] = synthesize(volume, None, setting)[0]
                control = controls[target.volume]
                with_lesion, lesion = synthesize(volume, target, setting)
                assert lesion is not None  # a place was given
                detection = measure(target, expected_in(lesion, volume), with_lesion - control)
                if not detection.found:
                    pictures.append(picture(lesion, volume, control, with_lesion, setting.preset))
                _append_progress(progress, setting, detection)
            detections.append(detection)
            stage.advance(message=f"{target.kind} {target.diameter_mm} mm")
    return detections, pictures


def synthesize(
    volume: HeldOutVolume, target: Target | None, setting: Setting
) -> tuple[np.ndarray, Lesion | None]:
    """The volume's middle slice (H, W) in physical units, by the steps of `medsynth synthesize`."""
    request, lesion = setting.request(), None
    regions: tuple[Region, ...] = ()
    if target is not None:
        pathology = setting.pathology(target)
        request = replace(request, pathologies=(pathology,))
        lesion = draw(target, volume.image, setting)
        regions = (region_of(lesion, pathology, request, volume.image),)
    reference = ReferenceImage(volume.image, source="a volume")
    made = generate(
        Prepared(reference, regions, {volume.middle: 1.0}, ()),
        GuidedDiffusion.of(request, setting.denoiser, preset=setting.preset, device=setting.device),
        request=request,
        preset=setting.preset,
        listener=ignore,
    )
    return made.volume[volume.middle], lesion


def draw(target: Target, image: sitk.Image, setting: Setting) -> Lesion:
    """The lesion that a request asks for, in its reference."""
    options = dict(setting.pathology(target).source.procedural or {})
    return procedural(
        options.pop("kind"),
        reference=image,
        center_mm=target.center_mm,
        diameter_mm=target.diameter_mm,
        body_threshold=setting.preset.body_threshold,
        **options,
    )


@dataclass(frozen=True, eq=False)
class ExpectedLesion:
    """The region of a slice (H, W) in which a lesion is asked for, and its contrast in HU."""

    mask: np.ndarray
    contrast: float
    spacing_mm: tuple[float, float]


def expected_in(lesion: Lesion, volume: HeldOutVolume) -> ExpectedLesion:
    """What `lesion` asks of the middle slice."""
    mask = sitk.GetArrayViewFromImage(lesion.mask)[volume.middle] > 0
    contrast = lesion.drawn["mean_hu"] - lesion.drawn["background_hu"]
    return ExpectedLesion(mask, contrast, volume.image.GetSpacing()[1::-1])


def measure(target: Target, expected: ExpectedLesion, difference: np.ndarray) -> Detection:
    """The largest part of `difference` (H, W) above half of the lesion's contrast.

    Half of the contrast between the lesion asked for and the lung around it is where a blurred edge
    lies; a vessel inside the lesion, which was dense before, leaves a hole, which is filled.
    """
    contrast = round(float(difference[expected.mask].mean()), 1)
    above = ndimage.binary_fill_holes(difference > expected.contrast / 2)
    label, count = ndimage.label(_without_strands(above, expected.spacing_mm))
    if count == 0:
        return Detection(target, 0.0, float("inf"), False, contrast)
    largest = label == 1 + np.argmax(np.bincount(label.ravel())[1:])
    centroid, wanted = (np.argwhere(m).mean(axis=0) for m in (largest, expected.mask))
    area = float(largest.sum()) * expected.spacing_mm[0] * expected.spacing_mm[1]
    return Detection(
        target,
        measured_mm=round(equivalent_diameter_mm(area, 1.0), 2),
        off_mm=round(float(np.hypot(*((centroid - wanted) * expected.spacing_mm))), 2),
        inside=bool(expected.mask[tuple(np.rint(centroid).astype(int))]),
        contrast_hu=contrast,
    )


def _without_strands(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Opened by a disc of `STRAND_MM`: kept is what such a disc fits into."""
    core = ndimage.distance_transform_edt(mask, sampling=spacing) > STRAND_MM
    if not core.any():
        return core
    return mask & (ndimage.distance_transform_edt(~core, sampling=spacing) <= STRAND_MM)


def picture(
    lesion: Lesion,
    volume: HeldOutVolume,
    without: np.ndarray,
    with_lesion: np.ndarray,
    preset: Preset,
) -> np.ndarray:
    """Drawn reference, lesion-free control, result and difference with the ROI's edge; uint8 (H, 4 H)."""
    expected = expected_in(lesion, volume)
    middle = np.argwhere(expected.mask).mean(axis=0).round().astype(int)
    reach = int(REACH_MM / max(expected.spacing_mm))
    padded = [(reach, reach)] * 2
    box = tuple(slice(m, m + 2 * reach) for m in middle)
    low, high = preset.windows[0].limits
    drawn = sitk.GetArrayViewFromImage(lesion.image)[volume.middle]
    planes = [(plane - low) / (high - low) for plane in (drawn, without, with_lesion)]
    planes.append(0.5 + (with_lesion - without) / (high - low))
    planes[3][expected.mask & ~ndimage.binary_erosion(expected.mask)] = 1
    cells = [np.pad(np.clip(plane, 0, 1), padded)[box] for plane in planes]
    return (np.hstack(cells) * 255).astype(np.uint8)


def _read_progress(path: Path | None, setting: Setting) -> dict[Target, Detection]:
    """What an earlier call measured under this setting."""
    if path is None or not path.exists():
        return {}
    detections = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a killed process may leave half a line
            record = aliases.current(json.loads(line), where=str(path), table=aliases.MEASURED)
            if record["setting"] == setting.to_dict():
                detections.append(Detection.from_dict(record["detection"]))
    return {detection.target: detection for detection in detections}


def _append_progress(path: Path | None, setting: Setting, detection: Detection) -> None:
    if path is None:
        return
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write(
            "\n" * torn
            + json.dumps({"setting": setting.to_dict(), "detection": detection.to_dict()})
            + "\n"
        )
