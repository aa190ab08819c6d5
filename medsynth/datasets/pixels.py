"""The pixels of one entry: read, brought to the preset's grid, in whole physical units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.datasets.entries import DataEntry
from medsynth.domains import Preset
from medsynth.images import ReferenceImage, fit_to_grid, read_image, to_display_units
from medsynth.images.files import NIFTI
from medsynth.images.nifti import open_nifti


def count_slices(entry: DataEntry, *, every: int = 1) -> int:
    """How many slices `entry` will give, from file names and headers (a multi-frame file: 1)."""
    if entry.path.is_dir():
        found = len(list(entry.path.glob("*.dcm")))
    elif entry.path.name.endswith(NIFTI):
        found = (*open_nifti(entry.path).shape, 1, 1)[2]
    else:
        found = 1
    return -(-found // every)


def read_stack(
    entry: DataEntry, preset: Preset, *, every: int = 1, pixel_mm: float | None = None
) -> np.ndarray:
    """(N, H, W) int16 on the preset's grid; every `every`-th slice of a volume, the middle included.

    `pixel_mm` is the pixel size of files that do not say it.

    Raises:
        ValueError: damaged, of another size than the set says, or without the pixel size that the
            preset needs.
    """
    stacks = [
        on_grid(read, entry, preset, every=every, pixel_mm=pixel_mm) for read in read_images(entry)
    ]
    return np.concatenate(stacks)


def read_images(entry: DataEntry) -> list[ReferenceImage]:
    """A series as a volume, or, where its slices do not form one, slice by slice."""
    if entry.path.suffix.lower() == ".pgm":
        return [_read_pgm(entry.path)]
    try:
        read = read_image(entry.path)
    except ValueError:
        if not entry.path.is_dir():
            raise
        return [read_image(file) for file in sorted(entry.path.glob("*.dcm"))]
    if entry.path.name.endswith(NIFTI):
        # A NIfTI file may hold its axes in any order; slices are axial, seen from the feet.
        read = ReferenceImage(image=sitk.DICOMOrient(read.image, "LPS"), source=read.source)
    return [read]


def on_grid(
    read: ReferenceImage,
    entry: DataEntry,
    preset: Preset,
    *,
    every: int = 1,
    pixel_mm: float | None = None,
) -> np.ndarray:
    """(N, H, W) int16 of an image that has been read; see `read_stack`."""
    image = in_units(read, preset)
    size = image.GetSize()
    if entry.size is not None and size[:2] != entry.size:
        raise ValueError(
            f"{entry.path} is {size[0]} x {size[1]} pixels, its row says {entry.size[0]} x "
            f"{entry.size[1]}; boxes would be in the wrong place"
        )
    image = image[:, :, (size[2] // 2) % every :: every]
    image = with_spacing(image, read, entry, preset, pixel_mm=pixel_mm)
    image = fit_to_grid(image, preset.grid, air=preset.air, pixel_mm=preset.pixel_mm)
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    values = np.rint(sitk.GetArrayViewFromImage(image))
    return np.clip(values, low, high).astype(np.int16)


def in_units(read: ReferenceImage, preset: Preset) -> sitk.Image:
    """The image in the preset's unit: HU as they are, or the gray values of a display."""
    if preset.units == "HU":
        return read.image
    values = sitk.GetArrayViewFromImage(read.image)
    shown = to_display_units(read, values, hu_window=preset.shown_hu)
    image = sitk.GetImageFromArray(shown.values)
    image.CopyInformation(read.image)
    return image


def with_spacing(
    image: sitk.Image,
    read: ReferenceImage,
    entry: DataEntry,
    preset: Preset,
    *,
    pixel_mm: float | None = None,
) -> sitk.Image:
    """`image` with the pixel size that the set or the recipe knows, where the file does not.

    Raises:
        ValueError: nobody knows it and the preset needs it.
    """
    known = entry.pixel_mm or (None if says_its_pixel_size(read) else pixel_mm)
    if known is not None:
        image = sitk.Image(image)
        image.SetSpacing((known, known, image.GetSpacing()[2]))
    elif preset.pixel_mm is not None and not says_its_pixel_size(read):
        raise ValueError(
            f"{entry.path} does not say how large its pixels are, which preset {preset.name} needs; "
            "set data.pixel_mm, or add a column pixel_spacing_mm to a table"
        )
    return image


def says_its_pixel_size(read: ReferenceImage) -> bool:
    """Whether the file itself says it: DICOM mostly does, pictures do not."""
    if read.headers:
        names = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
        return any(read.headers[0].get(name) for name in names)
    return not read.is_2d


def _read_pgm(path: Path) -> ReferenceImage:
    """A gray portable map, which SimpleITK does not read."""
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture, dtype=np.float32)
    except OSError as error:
        raise ValueError(f"{path} cannot be read; it may be damaged ({error})") from error
    return ReferenceImage(image=sitk.GetImageFromArray(values[None]), source=str(path), is_2d=True)
