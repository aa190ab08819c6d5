"""The reference brought to what a network of gray values knows: its grid, its gray values.

Lung CT is taken as it is: the network sees any grid and HU mean the same everywhere. The networks of
the other domains were trained on one grid and on 8-bit pictures, so a projection image of 2000 x 2500 pixels and
12 bits is scaled (never stretched) and shown in its window first. What was done is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from medsynth import dicom
from medsynth import phantoms as anatomy
from medsynth.domains import Preset
from medsynth.errors import GeometryError
from medsynth.events import Listener, Stage
from medsynth.images import (
    ReferenceImage,
    fit_to_grid,
    on_image,
    read_image,
    read_mask_of,
    to_display_units,
)
from medsynth.request import Anatomy, Pathology, Request, model

# Modalities of DICOM references that a preset's network has not seen are refused.
KNOWN = ("CT", "MR", "CR", "DX", "MG", "NM", "PT", "US", "XA", "RF")
ACCEPTED = {"DX": ("DX", "CR"), "CR": ("DX", "CR")}
# A slice counts as axial if its normal is this close to the patient's axis (cosine).
AXIAL = 0.8


@dataclass(frozen=True)
class Preprocessing:
    """What was done to a reference.

    Attributes:
        record: for result.json; empty where nothing was done.
        pixel_size_known: False where nobody said how large a pixel is and 1 mm is assumed.
        same_grid: whether its pixels still lie where the source's lie.
    """

    record: dict[str, Any] = field(default_factory=dict)
    pixel_size_known: bool = True
    same_grid: bool = True


@dataclass(frozen=True, eq=False)
class PreprocessedReference:
    """The reference as it goes into the network, on the preset's grid and in its units.

    `source` is the image as it was read: a mask that is a picture is drawn on its pixels.
    """

    reference: ReferenceImage
    source: sitk.Image
    preprocessing: Preprocessing


def load_anatomy(request: Request, *, preset: Preset, listener: Listener) -> PreprocessedReference:
    """The reference of a request, read from its file or drawn, and preprocessed.

    Raises:
        ValueError: an image that cannot be used for the preset, or does not need what is said of it.
    """
    source = request.anatomy
    if source.phantom is not None:
        with Stage("drawing the phantom", total=1, listener=listener) as stage:
            phantom = anatomy.build(source.phantom.kind, **source.phantom.options)
            stage.advance()
        reference = ReferenceImage(phantom.image, source=f"phantom {source.phantom.kind}")
        return preprocess(reference, preset)
    if source.image is None:
        raise ValueError("anatomy: neither an image nor a phantom; give one of them")
    reference = read_image(source.image, series_uid=source.series_uid, listener=listener)
    return preprocess_anatomy(source, reference, preset)


def preprocess_anatomy(
    source: Anatomy, reference: ReferenceImage, preset: Preset
) -> PreprocessedReference:
    """`reference`, which the image of `source` was read as, or the slice of it that is asked for, preprocessed.

    Raises:
        ValueError: as `load_anatomy`; or there is no such slice.
    """
    _check_projection(source, reference, preset)
    if source.slice is not None:
        reference = one_slice(reference, source.slice - 1, preset)
    return preprocess(reference, preset, pixel_mm=source.pixel_mm)


def one_slice(reference: ReferenceImage, k: int, preset: Preset) -> ReferenceImage:
    """Slice `k` (from 0) of a volume that hangs as its domain's slices do.

    Raises:
        ValueError: there is no such slice.
    """
    if preset.in_display_units:
        reference = _upright(reference, preset)
    count = reference.image.GetDepth()
    if k >= count:
        raise ValueError(f"anatomy.slice: expected 1 to {count} of {reference.source}, got {k + 1}")
    return ReferenceImage(
        reference.image[:, :, k : k + 1],
        headers=reference.headers[k : k + 1],
        source=reference.source,
        warnings=reference.warnings,
        padding=None if reference.padding is None else reference.padding[k : k + 1],
        is_2d=reference.is_2d,
    )


def _check_projection(source: Anatomy, reference: ReferenceImage, preset: Preset) -> None:
    """Refuse what the reference's header says already, and a mammogram of which nobody says it."""
    said = dicom.said_by(reference.headers[0]) if reference.headers else {}
    for key in ("view", "laterality"):
        if getattr(source, key) is not None and said.get(key):
            raise ValueError(
                f"anatomy.{key}: {reference.source} is DICOM and says it ({said[key]}); remove it"
            )
    if preset.modality != "MG":
        return
    needed = {"view": "view: MLO", "laterality": "laterality: L"}
    missing = [
        example
        for key, example in needed.items()
        if getattr(source, key) is None and not said.get(key)
    ]
    if source.pixel_mm is None and _lacks_pixel_size(reference):
        missing.append("pixel_mm: 0.2")
    if missing:
        raise ValueError(
            f"anatomy: {reference.source} does not say all that a DICOM mammogram needs; add for "
            f"example {{{', '.join(missing)}}}"
        )


def preprocess(
    reference: ReferenceImage, preset: Preset, *, pixel_mm: float | None = None
) -> PreprocessedReference:
    """`reference` in the units and on the grid of `preset`.

    Args:
        pixel_mm: the size of a pixel, of a picture that does not say it.

    Raises:
        ValueError: another modality, several projection images in one, pixels that are not square, or a
            `pixel_mm` for an image that has one.
    """
    known = not _lacks_pixel_size(reference)
    if pixel_mm is not None:
        if known:
            raise ValueError(
                f"anatomy.pixel_mm: {reference.source} says its pixel size itself, "
                f"{reference.image.GetSpacing()[0]:g} mm; remove it"
            )
        reference = _with_pixel_size(reference, pixel_mm)
    known = known or pixel_mm is not None
    check_units(reference, preset)
    if not preset.in_display_units:
        return PreprocessedReference(
            reference, reference.image, Preprocessing(pixel_size_known=known)
        )
    _check_kind(reference, preset)
    source = reference.image
    upright = _upright(reference, preset)
    shown = to_display_units(
        upright, sitk.GetArrayViewFromImage(upright.image), hu_window=preset.shown_hu
    )
    gray = sitk.GetImageFromArray(shown.values)
    gray.CopyInformation(upright.image)
    try:
        image = fit_to_grid(gray, preset.grid, air=preset.air, pixel_mm=preset.pixel_mm)
    except ValueError as error:
        raise ValueError(f"{reference.source}: {error}") from None
    same_grid = image.GetSize() == source.GetSize() and upright is reference
    if same_grid and shown.as_stored and _whole(shown.values):
        return PreprocessedReference(reference, source, Preprocessing(pixel_size_known=known))
    step = image.GetSpacing()[0] / gray.GetSpacing()[0]
    record = {
        "from_size": list(source.GetSize()),
        "to_size": list(image.GetSize()),
        "pixels_per_pixel": round(step, 4),
        "pixel_mm": round(image.GetSpacing()[0], 4),
        "pixel_size_known": known,
        "gray_values": shown.how,
    }
    preprocessed = ReferenceImage(
        _whole_values(image),
        headers=tuple(
            dicom.regridded(header, size=image.GetSize()[:2], step=step)
            for header in reference.headers
        ),
        source=reference.source,
        warnings=(*reference.warnings, *_notes(reference, record, preset, image)),
        is_2d=reference.is_2d,
    )
    return PreprocessedReference(preprocessed, source, Preprocessing(record, known, same_grid))


def roi_mask(path: Path, preprocessed: PreprocessedReference) -> sitk.Image:
    """The mask of a region; one that is a picture lies on the reference's pixels, as it was drawn."""
    return read_mask_of(path, _drawn_on(preprocessed))


def on_pixels(mask: sitk.Image, path: Path, preprocessed: PreprocessedReference) -> sitk.Image:
    """A mask that is a picture, on the reference's pixels; any other as it is."""
    in_memory = not isinstance(path, Path)
    is_picture = not isinstance(path, sitk.Image) if in_memory else None
    name = Path("the mask in memory") if in_memory else path
    return on_image(mask, name, _drawn_on(preprocessed), is_picture=is_picture)


def _drawn_on(preprocessed: PreprocessedReference) -> ReferenceImage:
    """The reference as it was read."""
    reference = preprocessed.reference
    return ReferenceImage(preprocessed.source, source=reference.source, is_2d=reference.is_2d)


def center_of(pathology: Pathology, image: sitk.Image, *, at: str) -> tuple[float, float, float]:
    """LPS mm of a lesion that is given as a point, or as a pixel of a slice of the anatomy's grid.

    Raises:
        ValueError: there is no such slice or pixel, or there are several slices and none is named.
    """
    if pathology.center_mm is not None:
        return pathology.center_mm
    columns, rows, count = image.GetSize()
    if pathology.slice is None and count > 1:
        raise ValueError(
            f"{at}.slice: missing; the anatomy has {count} slices, write slice: 1 to {count}"
        )
    k = pathology.slice or 1
    if k > count:
        raise ValueError(f"{at}.slice: expected 1 to {count}, got {k}")
    if pathology.pixel is None:
        raise ValueError(f"{at}: neither center_mm nor pixel; give one of them")
    column, row = pathology.pixel
    for value, size, name in ((column, columns, "column"), (row, rows, "row")):
        if value > size - 0.5:
            raise ValueError(f"{at}.pixel: expected a {name} from 0 to {size - 1}, got {value:g}")
    return image.TransformContinuousIndexToPhysicalPoint((column, row, k - 1.0))


def projection_of(request: Request, preset: Preset) -> dicom.Projection | None:
    """What the request says of how a projection image was taken; radiographs are unpaired unless it does."""
    if preset.modality not in model.VIEWS:
        return None
    phantom = request.anatomy.phantom
    if phantom is not None and phantom.kind == "breast":
        drawn = anatomy.breast_shape_of(**phantom.options)
        return dicom.Projection(drawn.view, drawn.laterality)
    return dicom.Projection(request.anatomy.view or "", request.anatomy.laterality or "")


def check_units(reference: ReferenceImage, preset: Preset) -> None:
    """Refuse images that cannot be in the preset's units: all values in a sliver of the range."""
    values = sitk.GetArrayViewFromImage(reference.image)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ValueError(f"{reference.source}: all voxels are {low:g}; there is nothing to follow")
    if preset.units == "HU" and low >= 0:
        raise ValueError(
            f"{reference.source}: values run from {low:g} to {high:g}, expected {preset.units} with "
            f"air near {preset.air:g}; rescale the image, or choose another preset"
        )


def _check_kind(reference: ReferenceImage, preset: Preset) -> None:
    """Refuse what the network of `preset` has never seen."""
    accepted = ACCEPTED.get(preset.modality, (preset.modality,))
    modality = reference.headers[0].get("Modality") if reference.headers else None
    if modality in KNOWN and modality not in accepted:
        raise ValueError(
            f"{reference.source} is a {modality} image, preset {preset.name} takes "
            f"{' or '.join(accepted)}; choose another preset"
        )
    slices = reference.image.GetDepth()
    if preset.is_projection and slices > 1:
        raise GeometryError(
            f"{reference.source} has {slices} slices, preset {preset.name} takes one projection image; save the "
            "one that you mean as a file of its own"
        )


def _lacks_pixel_size(reference: ReferenceImage) -> bool:
    return reference.is_2d and tuple(reference.image.GetSpacing()[:2]) == (1, 1)


def _with_pixel_size(reference: ReferenceImage, pixel_mm: float) -> ReferenceImage:
    image = sitk.Image(reference.image)
    image.SetSpacing((pixel_mm, pixel_mm, image.GetSpacing()[2]))
    # The reader's remark that 1 mm is assumed no longer holds.
    warnings = tuple(note for note in reference.warnings if "1 mm at the origin" not in note)
    return ReferenceImage(
        image, reference.headers, reference.source, warnings, reference.padding, reference.is_2d
    )


def _upright(reference: ReferenceImage, preset: Preset) -> ReferenceImage:
    """A volume without DICOM headers with its rows to the left and its columns to the back.

    Files such as NIfTI keep slices in any direction; networks saw them as they hang on a screen.
    Axes are swapped and reversed, nothing is interpolated. DICOM slices hang as they were sent.
    """
    if reference.is_2d or reference.headers or preset.is_projection:
        return reference
    image = sitk.DICOMOrient(reference.image, "LPS")
    if image.GetDirection() == reference.image.GetDirection():
        return reference
    return ReferenceImage(image, source=reference.source, warnings=reference.warnings)


def _notes(
    reference: ReferenceImage, record: dict[str, Any], preset: Preset, image: sitk.Image
) -> list[str]:
    """What the user should know about what was done."""
    before, after = (" x ".join(map(str, record[k][:2])) for k in ("from_size", "to_size"))
    notes = []
    if before != after:
        notes.append(
            f"{reference.source} was brought from {before} to {after} pixels of "
            f"{record['pixel_mm']:g} mm, the grid of {preset.name}"
        )
    if not record["pixel_size_known"]:
        notes.append("write anatomy.pixel_mm if you know how large a pixel of it is")
    if not record["gray_values"].startswith("gray"):
        notes.append(f"{reference.source} is shown in {record['gray_values']}, as gray 0 to 255")
    normal = abs(image.GetDirection()[8])
    if not reference.is_2d and not preset.is_projection and normal < AXIAL:
        notes.append(
            f"the slices of {reference.source} are not axial; the network of {preset.name} was "
            "trained on axial ones"
        )
    return notes


def _whole(values: np.ndarray) -> bool:
    return bool(np.array_equal(values, np.rint(values)))


def _whole_values(image: sitk.Image) -> sitk.Image:
    """Gray values as a file keeps them: whole numbers, so that what is kept is kept exactly."""
    whole = sitk.GetImageFromArray(np.rint(sitk.GetArrayViewFromImage(image)).clip(0, 255))
    whole.CopyInformation(image)
    return sitk.Cast(whole, sitk.sitkFloat32)
