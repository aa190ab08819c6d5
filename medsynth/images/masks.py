"""Read a mask from any image format or from a DICOM segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.images.dicom.files import check_there, find_dicom, is_dicom
from medsynth.images.dicom.segmentation import read_segmentation
from medsynth.images.files import JPEG, PICTURES, load, suffix_of
from medsynth.images.memory import SOURCE, from_memory
from medsynth.images.read import read_image
from medsynth.images.reference import ReferenceImage


def read_mask(path: str | Path | sitk.Image | np.ndarray) -> sitk.Image:
    """The marked voxels as uint8 0/1: every label that is not 0, all segments united.

    Reads what `read_image` reads, DICOM SEG (a file, or the only one in a folder) and Slicer's
    `.seg.nrrd`. A JPEG, whose edges are smeared, is cut at half of white.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: Damaged, several segmentations in the folder, or values that are no labels.
        GeometryError: DICOM frames that do not form one regular grid.
    """
    return _read(path)[0]


def read_mask_of(
    path: str | Path | sitk.Image | np.ndarray, drawn_on: ReferenceImage
) -> sitk.Image:
    """As `read_mask`, of a mask that belongs to the image `drawn_on`.

    A mask that is a picture says no place; it lies on the pixels of a projection image or slice of its own size.

    Raises:
        GeometryError: a picture of another size than the image: nobody knows where it lies.
    """
    mask, is_picture = _read(path)
    path = Path(path) if isinstance(path, (str, Path)) else Path(SOURCE)
    return on_image(mask, path, drawn_on, is_picture=is_picture)


def on_image(
    mask: sitk.Image, path: Path, drawn_on: ReferenceImage, *, is_picture: bool | None = None
) -> sitk.Image:
    """`mask`, which `path` holds, at its place: a picture's is that of the image of its own size.

    Args:
        is_picture: whether the file cannot say a place; None: by its suffix.

    Raises:
        GeometryError: a picture of another size than the image: nobody knows where it lies.
    """
    is_picture = suffix_of(path) in PICTURES if is_picture is None else is_picture
    image = drawn_on.image
    # a picture that was saved as a volume, at the origin with pixels of 1 mm
    placeless = mask.GetSpacing()[:2] == (1, 1) and not any(mask.GetOrigin())
    if mask.GetSize() == image.GetSize():
        if is_picture or (placeless and drawn_on.is_2d):
            mask.CopyInformation(image)
        return mask
    same_plane = image.GetSpacing()[:2] == (1, 1) and not any(image.GetOrigin())
    if is_picture or (placeless and drawn_on.is_2d and not same_plane):
        of_mask, of_image = (" x ".join(map(str, each.GetSize())) for each in (mask, image))
        raise GeometryError(
            f"the mask {path} has {of_mask} pixels, but its image {drawn_on.source} has {of_image}; "
            "a picture does not say where it lies, so both must have the same size: draw the mask on "
            "the image as it is, or save it as NRRD with its place"
        )
    return mask


def _read(path: str | Path | sitk.Image | np.ndarray) -> tuple[sitk.Image, bool]:
    """The mask, and whether it is a picture: of a kind that has no place in space."""
    if not isinstance(path, (str, Path)):
        image = from_memory(path).image
        check_labels(sitk.GetArrayViewFromImage(image), SOURCE)
        return image != 0, not isinstance(path, sitk.Image)
    path = Path(path)
    check_there(path)
    if path.is_dir() or is_dicom(path):
        segmentations = [o.path for o in find_dicom(path) if o.is_segmentation]
        if len(segmentations) > 1:
            names = ", ".join(p.name for p in segmentations[:8])
            raise ValueError(
                f"{path} holds {len(segmentations)} DICOM segmentations ({names}); name one file"
            )
        if segmentations:
            return read_segmentation(segmentations[0]), False
    if path.name.lower().endswith(".seg.nrrd"):
        return _united_layers(load(path), path), False
    read = read_image(path)
    image = read.image
    is_picture = suffix_of(path) in PICTURES or (read.is_2d and bool(read.headers))
    labels = sitk.GetArrayViewFromImage(image)
    if suffix_of(path) in JPEG:
        return image > 127, is_picture
    check_labels(labels, path)
    return image != 0, is_picture


def check_labels(labels: np.ndarray, path: Path | str) -> None:
    """Refuse values that are no labels: negative ones, and fractions.

    Raises:
        ValueError: with the first such value.
    """
    odd = (labels < 0) | (labels != np.rint(labels))
    if odd.any():
        raise ValueError(
            f"{path} is not a mask: it holds values such as {labels[odd][0]:g}; a mask holds whole "
            "numbers, 0 outside (threshold a probability map at 0.5 first)"
        )


def _united_layers(image: sitk.Image, path: Path) -> sitk.Image:
    """Slicer keeps overlapping segments in layers, one component of each voxel per layer."""
    if image.GetDimension() != 3:
        raise ValueError(f"{path} has {image.GetDimension()} dimensions; save it again from Slicer")
    layers = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        layers = np.any(layers, axis=-1)
    mask = sitk.GetImageFromArray((layers != 0).astype(np.uint8))
    mask.CopyInformation(image)
    return mask
