"""Read any image: by what the file is, not by what its name promises where that can be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth.events import Listener, ignore
from medsynth.images.dicom.files import check_there, is_dicom
from medsynth.images.dicom.series import read_dicom
from medsynth.images.files import NIFTI, READABLE, read_itk_file, suffix_of
from medsynth.images.memory import from_memory
from medsynth.images.nifti import read_nifti
from medsynth.images.reference import ReferenceImage


def read_image(
    path: str | Path | sitk.Image | np.ndarray,
    *,
    series_uid: str | None = None,
    listener: Listener = ignore,
) -> ReferenceImage:
    """A DICOM series folder, a DICOM file, NIfTI, NRRD, MetaImage, PNG or JPEG in physical units.

    Or an image in memory, see `from_memory`.

    `series_uid` chooses one of several series in a folder.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: What is there cannot be used; the message names the file and the cure.
        GeometryError: The slices do not form one regular grid.
    """
    if not isinstance(path, (str, Path)):
        return from_memory(path)
    path = Path(path)
    check_there(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path, series_uid=series_uid, listener=listener)
    if series_uid is not None:
        raise ValueError(f"series_uid chooses among DICOM series, but {path} is not DICOM")
    suffix = suffix_of(path)
    if suffix in NIFTI:
        return read_nifti(path)
    if suffix in READABLE:
        return read_itk_file(path)
    raise ValueError(
        f"{path} is neither DICOM nor one of {', '.join(READABLE)}; convert it to one of these"
    )
