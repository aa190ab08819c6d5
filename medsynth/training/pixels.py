"""The pixels of one entry: read, brought to the preset's grid, in whole physical units."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from medsynth.images import ReferenceImage, fit_to_grid, read_image
from medsynth.presets import Preset
from medsynth.training.entries import Entry

# Share of pixels below and above which grey values without a unit are black and white.
BLACK, WHITE = 0.5, 99.5


def read_stack(entry: Entry, preset: Preset, *, every: int = 1) -> np.ndarray:
    """(N, H, W) int16 on the preset's grid; every `every`-th slice of a volume, and the middle one.

    Raises:
        ValueError: damaged, of another size than the set says, or without the pixel size that the
            preset needs.
    """
    stacks = [_on_grid(image, entry, preset, every=every) for image in _images(entry)]
    return np.concatenate(stacks)


def _images(entry: Entry) -> list[ReferenceImage]:
    """A series as a volume, or, where its slices do not form one, slice by slice."""
    try:
        return [read_image(entry.path)]
    except ValueError:
        if not entry.path.is_dir():
            raise
        return [read_image(file) for file in sorted(entry.path.glob("*.dcm"))]


def _on_grid(read: ReferenceImage, entry: Entry, preset: Preset, *, every: int) -> np.ndarray:
    image = read.image
    if entry.size is not None and image.GetSize()[:2] != entry.size:
        raise ValueError(
            f"{entry.path} is {image.GetSize()[0]} x {image.GetSize()[1]} pixels, its row says "
            f"{entry.size[0]} x {entry.size[1]}; boxes would be in the wrong place"
        )
    if image.GetSize()[2] > 1:
        start = (image.GetSize()[2] // 2) % every
        image = image[:, :, start::every]
    image = _with_spacing(image, read, entry, preset)
    if preset.units != "HU":
        image = _to_grey(image, preset)
    image = fit_to_grid(image, preset.grid, air=preset.air, pixel_mm=preset.pixel_mm)
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    values = np.rint(sitk.GetArrayViewFromImage(image))
    return np.clip(values, low, high).astype(np.int16)


def _with_spacing(
    image: sitk.Image, read: ReferenceImage, entry: Entry, preset: Preset
) -> sitk.Image:
    """A film's own pixel size, where the set knows it; a picture file does not."""
    if entry.pixel_mm is not None:
        image = sitk.Image(image)
        image.SetSpacing((entry.pixel_mm, entry.pixel_mm, image.GetSpacing()[2]))
    elif preset.pixel_mm is not None and read.is_2d and not read.headers:
        raise ValueError(
            f"{entry.path}: preset {preset.name} needs the size of a pixel; add a column "
            "pixel_spacing_mm to the table"
        )
    return image


def _to_grey(image: sitk.Image, preset: Preset) -> sitk.Image:
    """8-bit values as they are; others stretched from their `BLACK` to their `WHITE` percentile."""
    values = sitk.GetArrayViewFromImage(image)
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    if values.min() >= low and values.max() <= high:
        return image
    black, white = np.percentile(values, (BLACK, WHITE))
    scale = (high - low) / max(white - black, 1e-6)
    return sitk.Clamp((image - float(black)) * scale + low, sitk.sitkFloat32, low, high)
