"""Read a mask from any image format or from a DICOM segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth.images.dicom_files import check_there, find_dicom, is_dicom
from medsynth.images.files import JPEG, load, suffix_of
from medsynth.images.read import read_image
from medsynth.images.segmentation import read_segmentation


def read_mask(path: str | Path) -> sitk.Image:
    """The marked voxels as uint8 0/1: every label that is not 0, all segments united.

    Reads what `read_image` reads, DICOM SEG (a file, or the only one in a folder) and Slicer's
    `.seg.nrrd`. A JPEG, whose edges are smeared, is cut at half of white.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: Damaged, several segmentations in the folder, or values that are no labels.
        GeometryError: DICOM frames that do not form one regular grid.
    """
    path = Path(path)
    check_there(path)
    if path.is_dir() or is_dicom(path):
        segmentations = [o.path for o in find_dicom(path, []) if o.is_segmentation]
        if len(segmentations) > 1:
            names = ", ".join(p.name for p in segmentations[:8])
            raise ValueError(
                f"{path} holds {len(segmentations)} DICOM segmentations ({names}); name one file"
            )
        if segmentations:
            return read_segmentation(segmentations[0])
    if path.name.lower().endswith(".seg.nrrd"):
        return _united_layers(load(path), path)
    image = read_image(path).image
    labels = sitk.GetArrayViewFromImage(image)
    if suffix_of(path) in JPEG:
        return image > 127
    check_labels(labels, path)
    return image != 0


def check_labels(labels: np.ndarray, path: Path) -> None:
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
        layers = layers.any(axis=-1)
    mask = sitk.GetImageFromArray((layers != 0).astype(np.uint8))
    mask.CopyInformation(image)
    return mask
