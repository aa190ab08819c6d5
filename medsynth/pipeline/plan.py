"""What is known before any sampling: the reference, the lesions in it, and where anything changes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth.dicom import check_burned_in
from medsynth.dicom.patient import check_policy
from medsynth.diffusion.guidance import feathered, low_pass, spherical_gaussian
from medsynth.domains import Preset
from medsynth.errors import GeometryError
from medsynth.events import Listener, Stage
from medsynth.images import (
    ReferenceImage,
    fraction_outside,
    read_image,
    read_mask_of,
    resample_mask,
    to_display_units,
)
from medsynth.images.appearance import unlike
from medsynth.lesions import (
    Lesion,
    Steps,
    from_projection,
    from_study,
    mask_diameter_mm,
    procedural,
)
from medsynth.pipeline.existing import Existing, existing_labels, overlaps, too_small
from medsynth.pipeline.preprocessing import (
    PreprocessedReference,
    Preprocessing,
    center_of,
    load_anatomy,
    roi_mask,
)
from medsynth.request import Pathology, Request, Source
from medsynth.storage import saved_lesions

# Below this difference in physical units a lesion image is its reference.
UNCHANGED = 1.0
# Diameter of the patch of a Gaussian weight map, in diameters of the lesion.
PATCH = 2.0
# Around specks that are smaller than this, the tissue between them is the network's.
SPECK_FEATHER_MM = 0.5
# A reference is like those trained on with pixels up to this share outside their range, and sides up
# to this many times the grid's.
PIXEL_TOLERANCE = 0.05
SIDE_RATIO = 1.5


@dataclass(frozen=True, eq=False)
class Region:
    """Where one lesion acts: `weights` (k, j, i) in [0, 1] for the slices `first` to `last`."""

    lesion: Lesion
    pathology: Pathology
    first: int
    last: int
    weights: np.ndarray

    def at(self, k: int) -> np.ndarray | None:
        """The weights of slice k, (j, i); None where the lesion has no part."""
        return self.weights[k - self.first] if self.first <= k <= self.last else None


@dataclass(frozen=True, eq=False)
class Prepared:
    """The anatomy, its lesions, and per slice how much of it is synthesized.

    `change` maps the index of every slice to synthesize to its blend: a float (the whole slice,
    below 1 in the feathered margin of `extent: roi`) or an array (j, i) (`background: keep`).
    """

    reference: ReferenceImage
    regions: tuple[Region, ...]
    change: dict[int, float | np.ndarray]
    warnings: tuple[str, ...]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[Existing, ...] = ()

    @property
    def slices(self) -> list[int]:
        """The slices to synthesize, in order."""
        return sorted(self.change)


def prepare(
    request: Request,
    *,
    preset: Preset,
    listener: Listener,
    preprocessed: PreprocessedReference | None = None,
    labels: tuple[list[Existing], list[str]] | None = None,
) -> Prepared:
    """Read or draw the anatomy, place the lesions.

    `preprocessed`, `labels`: the anatomy and `existing_labels` of it, where the caller has them already.

    Raises:
        ValueError: an image that cannot be used, or a value out of its range.
        GeometryError: a mask or a lesion that lies where it cannot act.
    """
    preprocessed = preprocessed or load_anatomy(request, preset=preset, listener=listener)
    reference = preprocessed.reference
    warnings = [*reference.warnings, *_unlike_training(request, reference, preset)]
    check_policy(request.patient, headers=reference.headers)
    check_burned_in(
        reference.headers, patient=request.patient, accepted=request.anatomy.burned_in_text
    )
    _check_factors(request, reference.image)
    existing, notes = labels or existing_labels(request, preprocessed)
    warnings += notes
    regions = []
    with Stage("placing lesions", total=len(request.pathologies), listener=listener) as stage:
        for index, pathology in enumerate(request.pathologies):
            at = f"pathologies[{index}]"
            with naming(at):
                lesion, notes = place(pathology, request, preprocessed, preset=preset, index=index)
                warnings += [f"{at}: {note}" for note in (*notes, *lesion.warnings)]
                regions.append(region_of(lesion, pathology, request, reference.image))
            stage.advance()
    change = changes(request, reference.image, regions)
    warnings += overlaps(existing, [region.lesion.mask for region in regions])
    warnings += too_small(request, existing, change)
    return Prepared(
        reference,
        tuple(regions),
        change,
        tuple(warnings),
        preprocessed.preprocessing,
        tuple(existing),
    )


@contextlib.contextmanager
def naming(at: str) -> Iterator[None]:
    """A refusal within the block opens with the key path `at`, unless it names it already."""
    try:
        yield
    except (ValueError, OSError) as error:
        if str(error).startswith(at):
            raise
        kind = next(k for k in (GeometryError, ValueError, OSError) if isinstance(error, k))
        raise kind(f"{at}: {error}") from error


def _unlike_training(request: Request, reference: ReferenceImage, preset: Preset) -> list[str]:
    """Warnings where the preset's network has not seen such pixels or sizes; of others nobody knows."""
    if request.weights is not None:
        return []
    if preset.in_display_units and request.anatomy.image is not None:
        fullest = _fullest_slice(reference.image)
        note = unlike(fullest, preset)
        return [f"{reference.source} {note}"] if note else []
    if preset.trained_pixel_mm is None:
        return []
    x_mm, y_mm = reference.image.GetSpacing()[:2]
    columns, rows = reference.image.GetSize()[:2]
    (low, high), (grid_rows, grid_columns) = preset.trained_pixel_mm, preset.grid
    notes = []
    least, most = low * (1 - PIXEL_TOLERANCE), high * (1 + PIXEL_TOLERANCE)
    if min(x_mm, y_mm) < least or max(x_mm, y_mm) > most:
        notes.append(
            f"{reference.source}: pixels of {x_mm:.3g} x {y_mm:.3g} mm, the network of {preset.name} "
            f"was trained on {low:g} to {high:g} mm; expect a worse result, or resample the slices "
            f"to {(low + high) / 2:.2g} mm"
        )
    ratios = (columns / grid_columns, rows / grid_rows)
    if min(ratios) < 1 / SIDE_RATIO or max(ratios) > SIDE_RATIO:
        notes.append(
            f"{reference.source}: slices of {columns} x {rows} pixels, the network of {preset.name} "
            f"was trained on {grid_columns} x {grid_rows}; expect a worse result, or bring the "
            f"slices near that size: resample them, crop them, or pad them with {preset.air:g} "
            f"{preset.units}"
        )
    return notes


def _fullest_slice(image: sitk.Image) -> np.ndarray:
    """The slice with the largest sum: of a head, one that shows most of it."""
    values = sitk.GetArrayViewFromImage(image)
    fullest: np.ndarray = values[np.argmax(values.sum(axis=(1, 2)))]
    return fullest


def _check_factors(request: Request, image: sitk.Image) -> None:
    """Refuse factors larger than a slice before the network is loaded."""
    factors = {"anatomy.factor": request.anatomy.factor}
    for index, pathology in enumerate(request.pathologies):
        factors[f"pathologies[{index}].factor"] = pathology.factor
    for key, factor in factors.items():
        try:
            low_pass.build(request.filter, size=image.GetSize()[1::-1], factor=factor)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


def place(
    pathology: Pathology,
    request: Request,
    preprocessed: PreprocessedReference,
    *,
    preset: Preset,
    index: int,
) -> tuple[Lesion, list[str]]:
    """One lesion in the reference, and what to tell about its region of interest."""
    image = preprocessed.reference.image
    where: dict[str, Any] = {}
    notes: list[str] = []
    if pathology.roi is not None:
        with naming(f"pathologies[{index}].roi"):
            mask = roi_mask(pathology.roi, preprocessed)
            cut = fraction_outside(mask, image)
            where["roi"] = resample_mask(mask, image)
        if 0 < cut < 1:
            notes.append(f"{cut:.0%} of the roi lies outside the reference and has no effect")
    else:
        where["center_mm"] = center_of(pathology, image, at=f"pathologies[{index}]")
        where["diameter_mm"] = pathology.diameter_mm
    source = pathology.source
    if source.patch is not None:
        lesion = _from_annotated(
            source, preprocessed, preset=preset, seed=request.seed + index, **where
        )
        return _with_origin(lesion, source), notes
    if source.procedural is None:
        study = read_image(source.image, series_uid=source.series_uid)
        lesion = from_study(
            study.image,
            read_mask_of(source.mask, study),
            reference=image,
            rotate_deg=source.rotate_deg,
            scale=source.scale,
            mirror=source.mirror,
            body_threshold=preset.body_threshold,
            **where,
        )
        return _with_origin(lesion, source), notes
    options = dict(source.procedural)
    kind = options.pop("kind")
    seed = options.pop("seed", request.seed + index)
    return procedural(kind, reference=image, seed=seed, preset=preset, **where, **options), notes


def _with_origin(lesion: Lesion, source: Source) -> Lesion:
    """A saved lesion's name, and what is known of where it comes from, go into the record."""
    if source.saved is None:
        return lesion
    origin = saved_lesions.find(source.saved).origin
    drawn = {**lesion.drawn, "saved": source.saved, "origin": origin}
    return dataclasses.replace(lesion, drawn=drawn)


def _from_annotated(
    source: Source, preprocessed: PreprocessedReference, *, preset: Preset, seed: int, **where: Any
) -> Lesion:
    """A lesion from an annotated projection image, through the patch pipeline, shown as the reference is."""
    steps = dict(source.patch or {})
    seed = steps.pop("seed", seed)
    normalize = None if steps["normalize"] == "off" else steps["normalize"]
    if isinstance(source.rotate_deg, tuple):
        raise ValueError(
            f"rotate_deg must be one angle on a projection image, got {source.rotate_deg}"
        )
    annotated = read_image(source.image, series_uid=source.series_uid)
    window = preset.shown_hu
    shown = to_display_units(
        annotated, sitk.GetArrayViewFromImage(annotated.image), hu_window=window
    )
    gray = sitk.GetImageFromArray(shown.values)
    gray.CopyInformation(annotated.image)
    return from_projection(
        gray,
        read_mask_of(source.mask, annotated),
        reference=preprocessed.reference.image,
        steps=Steps(**{**steps, "normalize": normalize}),
        seed=seed,
        rotate_deg=source.rotate_deg,
        scale=source.scale,
        mirror=source.mirror,
        body_threshold=preset.body_threshold,
        **where,
    )


def region_of(lesion: Lesion, pathology: Pathology, request: Request, image: sitk.Image) -> Region:
    """Where the lesion's reference acts, on the slices between the first and the last it reaches.

    Raises:
        GeometryError: it reaches no slice center.
    """
    values, before = (sitk.GetArrayViewFromImage(i) for i in (lesion.image, image))
    mask = sitk.GetArrayViewFromImage(lesion.mask)
    planes = zip(values, before, mask, strict=True)
    touched = np.flatnonzero([bool(m.any()) or _differs(v, b) for v, b, m in planes])
    if not len(touched):
        raise GeometryError("the lesion does not reach any slice center; make it larger")
    spacing = image.GetSpacing()[::-1]
    patch_mm = PATCH * mask_diameter_mm(lesion.mask)
    reach_mm = request.feather_mm if pathology.weight == "mask" else patch_mm / 2
    reach = int(np.ceil(reach_mm / spacing[0]))
    first, last = max(touched[0] - reach, 0), min(touched[-1] + reach, len(values) - 1)
    part = slice(first, last + 1)
    if pathology.weight == "mask":
        inside = np.abs(values[part] - before[part]) > UNCHANGED
        feather = request.feather_mm
        if lesion.scattered:
            feather = min(feather, SPECK_FEATHER_MM)
        else:
            inside |= mask[part] > 0
        weights = feathered(inside, spacing=spacing, feather=feather)
    else:
        weights = _gaussian(mask, patch_mm, spacing=spacing, slices=range(part.start, part.stop))
    return Region(lesion, pathology, int(first), int(last), weights)


def _gaussian(
    mask: np.ndarray, patch_mm: float, *, spacing: tuple[float, ...], slices: range
) -> np.ndarray:
    """The spherical Gaussian of the paper around the lesion's center of mass, (k, j, i)."""
    k, row, column = np.argwhere(mask).mean(axis=0)
    of_rows, of_columns = spacing[1:]
    planes = [
        spherical_gaussian(
            mask.shape[1:],
            center=(row, column),
            diameter=patch_mm,
            spacing=(of_rows, of_columns),
            offset=(index - k) * spacing[0],
        )
        for index in slices
    ]
    return np.concatenate([plane[0].numpy() for plane in planes])


def _differs(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((np.abs(a - b) > UNCHANGED).any())


def changes(
    request: Request, image: sitk.Image, regions: list[Region]
) -> dict[int, float | np.ndarray]:
    """Which slices are synthesized, and how each is blended with the reference."""
    count = image.GetDepth()
    if request.background == "keep":
        blend: dict[int, float | np.ndarray] = {}
        for region in regions:
            for k in range(region.first, region.last + 1):
                weights = region.at(k)
                if weights is not None and weights.any():
                    blend[k] = np.maximum(blend.get(k, 0), weights)
        return blend
    if request.extent == "all":
        return dict.fromkeys(range(count), 1.0)
    return _with_margin(request, regions, count, image.GetSpacing()[2])


def _with_margin(
    request: Request, regions: list[Region], count: int, step_mm: float
) -> dict[int, float | np.ndarray]:
    """Every slice that a lesion touches, and around them a margin that fades into the reference."""
    touched = np.zeros(count, dtype=bool)
    for region in regions:
        mask = sitk.GetArrayViewFromImage(region.lesion.mask)[region.first : region.last + 1]
        certain = (region.weights == 1).any(axis=(1, 2)) | mask.any(axis=(1, 2))
        touched[region.first : region.last + 1] |= certain
    fade = feathered(touched, spacing=(step_mm,), feather=request.margin_mm)
    return {k: float(weight) for k, weight in enumerate(fade) if weight > 0}
