"""Is a lesion that was asked for there? Many small requests, each beside its lesion-free twin.

The twin is the same slice from the same seed, the same noise and the same anatomy without the lesion,
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
from medsynth.evaluation.lesion_fidelity.targets import REACH_MM, Place, Slab
from medsynth.events import Listener, Stage, ignore
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.images import ReferenceImage
from medsynth.lesions import Lesion, procedural
from medsynth.lesions.lesion import equivalent_diameter_mm
from medsynth.pipeline.generate import generate
from medsynth.pipeline.plan import Prepared, Region, region_of
from medsynth.request import Anatomy, Pathology, Phantom, Request, Source, Stop

# The diameter that is found may be off by this share of what was asked.
TOLERANCE = 0.25
# What is thinner than twice this is no part of the lesion: a reader's outline leaves spicules out.
STRAND_MM = 1.5


@dataclass(frozen=True)
class Finding:
    """What came of it: `off_mm` is from the centroid asked for to the one found.

    `measured_mm` is 0 and `off_mm` infinite where nothing rises above the threshold.
    """

    place: Place
    measured_mm: float
    off_mm: float
    inside: bool
    contrast_hu: float

    @property
    def found(self) -> bool:
        """The centroid lies in the region asked for, and the diameter is within `TOLERANCE`."""
        asked = self.place.diameter_mm
        return self.inside and abs(self.measured_mm - asked) <= TOLERANCE * asked

    def to_dict(self) -> dict:
        """For JSON."""
        return {**asdict(self), "found": self.found}

    @classmethod
    def from_dict(cls, record: dict) -> Finding:
        """The inverse of `to_dict`."""
        place = Place(**{**record["place"], "center_mm": tuple(record["place"]["center_mm"])})
        values = {k: v for k, v in record.items() if k not in ("place", "found")}
        return cls(place=place, **values)


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

    def pathology(self, place: Place) -> Pathology:
        """The lesion of `place`; its shape is drawn from its number."""
        return Pathology(
            source=Source(procedural={"kind": place.kind, "seed": self.seed + place.number}),
            factor=self.pathology_factor or self.preset.pathology_factor,
            stop=Stop(sigma=self.preset.pathology_stop),
            center_mm=place.center_mm,
            diameter_mm=place.diameter_mm,
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
    places: Sequence[Place],
    slabs: dict[str, Slab],
    setting: Setting,
    *,
    progress: Path | None = None,
    listener: Listener = ignore,
) -> tuple[list[Finding], list[np.ndarray]]:
    """Every request of `places`, measured; with a picture of each that was not found.

    The lesion-free twin is made once per slab. `progress` keeps what was measured, one JSON line each:
    a call with the same file and setting goes on where the last one ended (pictures are only drawn of
    failures that this call met).
    """
    done = _read_progress(progress, setting)
    findings, pictures = [], []
    twins: dict[str, np.ndarray] = {}
    with Stage("placing nodules", total=len(places), listener=listener) as stage:
        for place in places:
            finding = done.get(place)
            if finding is None:
                slab = slabs[place.slab]
                if place.slab not in twins:
                    twins[place.slab] = synthesize(slab, None, setting)[0]
                twin = twins[place.slab]
                with_lesion, lesion = synthesize(slab, place, setting)
                assert lesion is not None  # a place was given
                finding = measure(place, asked_of(lesion, slab), with_lesion - twin)
                if not finding.found:
                    pictures.append(picture(lesion, slab, twin, with_lesion, setting.preset))
                _append_progress(progress, setting, finding)
            findings.append(finding)
            stage.advance(message=f"{place.kind} {place.diameter_mm} mm")
    return findings, pictures


def synthesize(
    slab: Slab, place: Place | None, setting: Setting
) -> tuple[np.ndarray, Lesion | None]:
    """The slab's middle slice (H, W) in physical units, by the steps of `medsynth synthesize`."""
    request, lesion = setting.request(), None
    regions: tuple[Region, ...] = ()
    if place is not None:
        pathology = setting.pathology(place)
        request = replace(request, pathologies=(pathology,))
        lesion = draw(place, slab.image, setting)
        regions = (region_of(lesion, pathology, request, slab.image),)
    reference = ReferenceImage(slab.image, source="a slab")
    made = generate(
        Prepared(reference, regions, {slab.middle: 1.0}, ()),
        GuidedDiffusion.of(request, setting.denoiser, preset=setting.preset, device=setting.device),
        request=request,
        preset=setting.preset,
        listener=ignore,
    )
    return made.volume[slab.middle], lesion


def draw(place: Place, image: sitk.Image, setting: Setting) -> Lesion:
    """The lesion that a request asks for, in its reference."""
    options = dict(setting.pathology(place).source.procedural or {})
    return procedural(
        options.pop("kind"),
        reference=image,
        center_mm=place.center_mm,
        diameter_mm=place.diameter_mm,
        body_threshold=setting.preset.body_threshold,
        **options,
    )


@dataclass(frozen=True, eq=False)
class Asked:
    """The region of a slice (H, W) in which a lesion is asked for, and its contrast in HU."""

    mask: np.ndarray
    contrast: float
    spacing_mm: tuple[float, float]


def asked_of(lesion: Lesion, slab: Slab) -> Asked:
    """What `lesion` asks of the middle slice."""
    mask = sitk.GetArrayViewFromImage(lesion.mask)[slab.middle] > 0
    contrast = lesion.drawn["mean_hu"] - lesion.drawn["background_hu"]
    return Asked(mask, contrast, slab.image.GetSpacing()[1::-1])


def measure(place: Place, asked: Asked, difference: np.ndarray) -> Finding:
    """The largest part of `difference` (H, W) above half of the lesion's contrast.

    Half of the contrast between the lesion asked for and the lung around it is where a blurred edge
    lies; a vessel inside the lesion, which was dense before, leaves a hole, which is filled.
    """
    contrast = round(float(difference[asked.mask].mean()), 1)
    above = ndimage.binary_fill_holes(difference > asked.contrast / 2)
    label, count = ndimage.label(_without_strands(above, asked.spacing_mm))
    if count == 0:
        return Finding(place, 0.0, float("inf"), False, contrast)
    largest = label == 1 + np.argmax(np.bincount(label.ravel())[1:])
    centroid, wanted = (np.argwhere(m).mean(axis=0) for m in (largest, asked.mask))
    area = float(largest.sum()) * asked.spacing_mm[0] * asked.spacing_mm[1]
    return Finding(
        place,
        measured_mm=round(equivalent_diameter_mm(area, 1.0), 2),
        off_mm=round(float(np.hypot(*((centroid - wanted) * asked.spacing_mm))), 2),
        inside=bool(asked.mask[tuple(np.rint(centroid).astype(int))]),
        contrast_hu=contrast,
    )


def _without_strands(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Opened by a disc of `STRAND_MM`: kept is what such a disc fits into."""
    core = ndimage.distance_transform_edt(mask, sampling=spacing) > STRAND_MM
    if not core.any():
        return core
    return mask & (ndimage.distance_transform_edt(~core, sampling=spacing) <= STRAND_MM)


def picture(
    lesion: Lesion, slab: Slab, without: np.ndarray, with_lesion: np.ndarray, preset: Preset
) -> np.ndarray:
    """Drawn reference, lesion-free twin, result and difference with the ROI's edge; uint8 (H, 4 H)."""
    asked = asked_of(lesion, slab)
    middle = np.argwhere(asked.mask).mean(axis=0).round().astype(int)
    reach = int(REACH_MM / max(asked.spacing_mm))
    padded = [(reach, reach)] * 2
    box = tuple(slice(m, m + 2 * reach) for m in middle)
    low, high = preset.windows[0].limits
    drawn = sitk.GetArrayViewFromImage(lesion.image)[slab.middle]
    planes = [(plane - low) / (high - low) for plane in (drawn, without, with_lesion)]
    planes.append(0.5 + (with_lesion - without) / (high - low))
    planes[3][asked.mask & ~ndimage.binary_erosion(asked.mask)] = 1
    cells = [np.pad(np.clip(plane, 0, 1), padded)[box] for plane in planes]
    return (np.hstack(cells) * 255).astype(np.uint8)


def _read_progress(path: Path | None, setting: Setting) -> dict[Place, Finding]:
    """What an earlier call measured under this setting."""
    if path is None or not path.exists():
        return {}
    findings = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a killed process may leave half a line
            record = json.loads(line)
            if record["setting"] == setting.to_dict():
                findings.append(Finding.from_dict(record["finding"]))
    return {finding.place: finding for finding in findings}


def _append_progress(path: Path | None, setting: Setting, finding: Finding) -> None:
    if path is None:
        return
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write(
            "\n" * torn
            + json.dumps({"setting": setting.to_dict(), "finding": finding.to_dict()})
            + "\n"
        )
