"""Outlines and mask files of an entry as one mask on its image."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw

from medsynth.datasets.entries import DataEntry, Outline
from medsynth.datasets.pixels import read_images, with_spacing
from medsynth.domains import Preset
from medsynth.images import ReferenceImage, fit_to_grid
from medsynth.images.files import JPEG


def lesion_mask(entry: DataEntry, read: ReferenceImage) -> sitk.Image:
    """0 or 1 on the grid of `read`, the image of `entry`.

    Of several readers' outlines a voxel belongs to the mask if at least half of the readers who drew
    anything have it; mask files count wholly.

    Raises:
        ValueError: a mask of another size than the image.
    """
    shape = read.image.GetSize()[::-1]
    mask = np.zeros(shape, bool)
    for path in entry.masks:
        file = DataEntry(path, entry.patient, path.name)
        drawn = sitk.GetArrayFromImage(read_images(file)[0].image)
        if drawn.shape != shape:
            raise ValueError(
                f"{path} is {drawn.shape[2]} x {drawn.shape[1]} x {drawn.shape[0]}, its image "
                f"{shape[2]} x {shape[1]} x {shape[0]}; a mask has the size of its image"
            )
        # Lossy pictures of masks have gray edges; of other files every label counts.
        mask |= drawn > (drawn.max() / 2 if path.suffix.lower() in JPEG else 0)
    readers = sorted({outline.reader for outline in entry.outlines})
    votes = np.zeros(shape, np.uint8)
    for reader in readers:
        votes += _drawn([o for o in entry.outlines if o.reader == reader], read)
    mask |= 2 * votes >= max(1, len(readers)) if readers else False
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.CopyInformation(read.image)
    return image


def mask_on_grid(entry: DataEntry, preset: Preset, *, pixel_mm: float | None = None) -> np.ndarray:
    """(N, H, W) bool: the mask brought to the preset's grid as `read_stack` brings the image."""
    stacks = []
    for read in read_images(entry):
        mask = sitk.Cast(lesion_mask(entry, read), sitk.sitkFloat32)
        mask = with_spacing(mask, read, entry, preset, pixel_mm=pixel_mm)
        fitted = fit_to_grid(mask, preset.grid, air=0.0, pixel_mm=preset.pixel_mm)
        stacks.append(sitk.GetArrayFromImage(fitted) > 0.5)
    return np.concatenate(stacks)


def _drawn(outlines: list[Outline], read: ReferenceImage) -> np.ndarray:
    """(k, j, i) bool of one reader's outlines: all lesions, each without its holes."""
    columns, rows, slices = read.image.GetSize()
    index = {str(h.get("SOPInstanceUID", "")): k for k, h in enumerate(read.headers)}
    mask = np.zeros((slices, rows, columns), bool)
    for finding in sorted({outline.finding for outline in outlines}):
        lesion = np.zeros_like(mask)
        own = [o for o in outlines if o.finding == finding]
        for outline in sorted(own, key=lambda o: not o.inside):  # holes are cut last
            k = index.get(outline.slice_uid) if outline.slice_uid else 0
            if k is not None:  # a slice that is not there, as in a series cut to the lung
                inside = filled(outline, (rows, columns))
                lesion[k] = lesion[k] | inside if outline.inside else lesion[k] & ~inside
        mask |= lesion
    return mask


def filled(outline: Outline, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels inside the closed line, and those under it unless `open_edge`."""
    picture = Image.new("1", size[::-1])
    pen = ImageDraw.Draw(picture)
    points = [tuple(point) for point in outline.points]
    if len(points) < 3:
        x, y = (round(c) for c in np.mean(outline.points, axis=0))
        pen.point((x, y), fill=1)
        return np.array(picture)
    pen.polygon(points, fill=1, outline=0 if outline.open_edge else 1)
    return np.array(picture)
