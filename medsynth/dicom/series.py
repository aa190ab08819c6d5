"""An image as a DICOM series: one marked, single-frame, uncompressed file per slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from medsynth.dicom.deidentification import check_burned_in, pixel_identity
from medsynth.dicom.files import save
from medsynth.dicom.geometry import check_grid
from medsynth.dicom.image_classes import ImageClass, image_class
from medsynth.dicom.instance import Export, slice_dataset
from medsynth.dicom.job import ExportJob
from medsynth.dicom.patient import KEEP_WARNING, check_policy
from medsynth.dicom.pixels import (
    Depth,
    Encoded,
    Padding,
    Rescale,
    encode,
    put_padding,
    put_pixels,
    widened,
)
from medsynth.dicom.projection import Projection
from medsynth.dicom.storage import (
    depth_of,
    may_widen,
    padding_of,
    photometric_of,
    rescale_of,
    rescale_without_reference,
)
from medsynth.domains import Preset
from medsynth.errors import GeometryError
from medsynth.storage.folders import new_folder


@dataclass(frozen=True)
class SeriesInfo:
    """What was written: the files in slice order, their series, and what did not go smoothly.

    `clipped` voxels lay beyond what the stored type can hold, `moved` ones would have been read as
    padding; both counts are in `warnings` too.
    """

    files: tuple[Path, ...]
    study_uid: str
    series_uid: str
    warnings: tuple[str, ...] = ()
    clipped: int = 0
    moved: int = 0


def write_series(
    image: sitk.Image,
    folder: str | Path,
    *,
    preset: Preset,
    job: ExportJob,
    derivation: str,
    headers: Sequence[Dataset] = (),
    padding: np.ndarray | None = None,
    patient: str = "synthetic",
    projection: Projection | None = None,
    same_grid: bool = True,
    pixel_size_known: bool | None = None,
    from_patient: bool | None = None,
    burned_in_text: bool = False,
    defaced: bool = False,
) -> SeriesInfo:
    """Write `image` into `folder` as 0001.dcm, 0002.dcm, ... along its k axis.

    `image` is 3-D, in physical units (HU for CT). `headers` are the reference's data sets, one per
    slice in the order of the k axis; without them the preset's class is written with complete
    modules. `padding` is bool (k, j, i): voxels that the reference marks as padding and that stay
    so. `projection` says what a radiograph shows where there are no headers. `same_grid` is False
    where the reference was brought onto another grid (and `headers` with it, see `regridded`),
    `pixel_size_known` where the size of a pixel is only assumed. `from_patient`
    says that the image goes back to one of a patient (default: where there are headers);
    `burned_in_text` that it may show text of the reference, `defaced` that the reference's face was
    removed, see `deidentification`. The folder appears complete or not at all.

    Raises:
        ValueError: an unknown policy, non-finite voxels, a modality that cannot be written, or
            burned-in text that nobody accepted.
        GeometryError: the headers or the padding are not on the grid of the image.
        FileExistsError: `folder` is not empty.
    """
    row = image_class(headers, preset)
    check_policy(patient, headers=headers)
    check_burned_in(headers, patient=patient, accepted=burned_in_text)
    slices = _slices(image, headers, row=row, padding=padding)
    rescales = [
        rescale_without_reference(preset) if each.header is None else rescale_of(each.header)
        for each in slices
    ]
    depth = _common_depth(slices, rescales, row=row)
    sources = {header.get("SOPInstanceUID") for header in headers}
    export = Export(
        image,
        row,
        preset,
        job,
        derivation,
        patient,
        projection,
        frames_of_one_file=len(sources) < len(headers),
        same_grid=same_grid,
        pixel_size_known=pixel_size_known,
        pixels=pixel_identity(
            headers,
            preset=preset,
            slices=len(slices),
            from_patient=bool(headers) if from_patient is None else from_patient,
            burned_in_text=burned_in_text,
            defaced=defaced,
        ),
    )
    notes = [KEEP_WARNING] if patient == "keep" else export.pixels.warnings
    warnings = dict.fromkeys(notes)
    clipped = moved = 0
    names = [f"{k + 1:04d}.dcm" for k in range(len(slices))]
    with new_folder(Path(folder)) as partial:
        for k, (each, rescale) in enumerate(zip(slices, rescales, strict=True)):
            dataset, notes = slice_dataset(export, k, header=each.header, rescale=rescale)
            warnings |= dict.fromkeys(notes)
            encoded = each.put_into(dataset, rescale, depth=depth)
            clipped, moved = clipped + encoded.clipped, moved + encoded.moved
            save(dataset, partial / names[k])
    return SeriesInfo(
        files=tuple(Path(folder) / name for name in names),
        study_uid=str(dataset.StudyInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        warnings=(*warnings, *_counts(clipped, moved, depth=depth)),
        clipped=clipped,
        moved=moved,
    )


@dataclass(frozen=True)
class _Slice:
    """Physical values (rows, columns) with what the reference says about them."""

    physical: np.ndarray
    header: Dataset | None
    padded: np.ndarray | None
    padding: Padding | None

    def stored_range(self, rescale: Rescale) -> tuple[float, float]:
        """Lowest and highest stored value that this slice needs, its padding included."""
        padding, padded = self.padding, self.padded
        image = self.physical
        if padding is not None and padded is not None:
            image = image[~padded]
        ends: list[float] = list(padding.span) if padding is not None else []
        if image.size:
            ends += [float(rescale.stored(end)) for end in (image.min(), image.max())]
        return min(ends), max(ends)

    def put_into(self, dataset: Dataset, rescale: Rescale, *, depth: Depth) -> Encoded:
        """Write the pixels; how many had to give way."""
        padding = self.padding
        encoded = encode(self.physical, rescale, depth=depth, padding=padding, padded=self.padded)
        put_pixels(dataset, encoded.stored, depth=depth, photometric=photometric_of(self.header))
        put_padding(dataset, padding)
        return encoded


def _slices(
    image: sitk.Image, headers: Sequence[Dataset], *, row: ImageClass, padding: np.ndarray | None
) -> list[_Slice]:
    """The slices of an image that can be written, with their headers and padding."""
    check_grid(image)
    voxels = sitk.GetArrayViewFromImage(image)
    bad = int(voxels.size - np.isfinite(voxels).sum())
    if bad:
        raise ValueError(f"{bad} voxels are NaN or infinite; DICOM cannot store them")
    if not row.volumetric and len(voxels) != 1:
        raise ValueError(f"{row.modality} images have one slice, got {len(voxels)}")
    if headers and len(headers) != len(voxels):
        raise GeometryError(
            f"got {len(headers)} headers for {len(voxels)} slices, expected one for each"
        )
    shapes = {(header.Rows, header.Columns) for header in headers}
    if shapes - {voxels.shape[1:]}:
        raise GeometryError(
            f"the image has {voxels.shape[1:]} rows and columns, the reference {sorted(shapes)}"
        )
    if padding is not None and padding.shape != voxels.shape:
        raise GeometryError(f"padding has shape {padding.shape}, the image {voxels.shape}")
    return [
        _Slice(
            voxels[k],
            header,
            None if padding is None else padding[k],
            padding_of(header, may_be_signed=row.may_be_signed),
        )
        for k, header in enumerate(headers or [None] * len(voxels))
    ]


def _common_depth(
    slices: Sequence[_Slice], rescales: Sequence[Rescale], *, row: ImageClass
) -> Depth:
    """One depth for the whole series, the reference's own wherever the values fit."""
    depths = [depth_of(each.header, row) for each in slices]
    widest = max(depths, key=lambda depth: (depth.signed, depth.bits))
    ranges = [each.stored_range(rescale) for each, rescale in zip(slices, rescales, strict=True)]
    if not all(may_widen(each.header) for each in slices):
        return widest
    return widened(widest, ranges, may_be_signed=row.may_be_signed)


def _counts(clipped: int, moved: int, *, depth: Depth) -> list[str]:
    notes = []
    if clipped:
        notes.append(
            f"{clipped} voxels did not fit into {depth.bits} bits ({depth.limits[0]} to "
            f"{depth.limits[1]} before rescale) and were clipped"
        )
    if moved:
        notes.append(f"{moved} voxels had the padding value and were moved off it by one step")
    return notes
