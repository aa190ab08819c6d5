"""What every reader returns: the image in physical units, its DICOM headers, its oddities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom
import SimpleITK as sitk


@dataclass(frozen=True, eq=False)
class ReferenceImage:
    """One 3-D scalar image as it came from disk; nothing resampled, clipped or reoriented.

    `image`: float32, LPS mm as SimpleITK has it, in physical units (HU for CT, by each slice's own
    rescale). A MONOCHROME1 radiograph is mirrored in its value range so that larger is brighter.
    `headers`: DICOM only, one per slice in the order of the image's k axis, without pixel data. The
    slices of a multi-frame file each get its header with their own functional groups laid flat and
    the frame number as InstanceNumber.
    `padding`: bool (k, j, i), the voxels that the file marks as pixel padding; None when there are
    none. Their values in `image` are the rescaled padding value, or the lowest value of the stored
    bits where these cannot hold it.
    `is_2d`: the file knows no position in space (PNG, JPEG, a radiograph); `image` has one slice.
    """

    image: sitk.Image
    headers: tuple[pydicom.Dataset, ...] = ()
    source: str = ""
    warnings: tuple[str, ...] = ()
    padding: np.ndarray | None = None
    is_2d: bool = False
