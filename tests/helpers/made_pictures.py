"""Made-up films and heads in every form they come in: PNG, JPEG, DICOM, NIfTI; no patient in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image

from medsynth.dicom import ExportJob, Projection, write_series
from medsynth.domains import IntensityMap, Preset, get


def film(rows: int = 150, columns: int = 120) -> np.ndarray:
    """A frontal chest, gray 0 to 255: soft tissue, two dark lungs, a bright middle; air at the sides."""
    j, i = np.indices((rows, columns))
    x, y = (i - (columns - 1) / 2) / columns, (j - (rows - 1) / 2) / rows
    body = np.abs(x) < 0.44
    lungs = (np.hypot((np.abs(x) - 0.2) / 0.14, y / 0.36)) < 1
    middle = np.abs(x) < 0.07
    values = np.select([middle, lungs, body], [200, 70, 150], 0) + (2 * j + 3 * i) % 5 * body
    return values.astype(np.uint8)


def head_ct(depth: int = 1, size: int = 120) -> np.ndarray:
    """A head in HU (k, j, i): skull of 900, brain of 32, ventricles of 5; the slices differ a little."""
    k, j, i = np.indices((depth, size, size))
    x, y = (i - (size - 1) / 2) / size, (j - (size - 1) / 2) / size
    radius = np.hypot(x / 0.36, y / 0.44) * (1 + 0.01 * k)
    ventricle = np.hypot((np.abs(x) - 0.05) / 0.03, y / 0.1) < 1
    values = np.select([ventricle, radius < 0.85, radius < 1], [5, 32, 900], -1000)
    return (values + (j + 2 * i + k) % 3).astype(np.float32)


def head_mr(depth: int = 1, size: int = 120) -> np.ndarray:
    """A head in arbitrary units up to 1400: bright scalp, dark skull, brain of 500."""
    k, j, i = np.indices((depth, size, size))
    x, y = (i - (size - 1) / 2) / size, (j - (size - 1) / 2) / size
    radius = np.hypot(x / 0.36, y / 0.44) * (1 + 0.01 * k)
    ventricle = np.hypot((np.abs(x) - 0.05) / 0.03, y / 0.1) < 1
    values = np.select(
        [ventricle, radius < 0.88, radius < 0.94, radius < 1], [150, 500, 60, 1400], 0
    )
    return (values + (j + 2 * i + k) % 5 * (radius < 1)).astype(np.float32)


def as_image(
    values: np.ndarray, spacing=(1.5, 1.5, 4.0), origin=(-80.0, -90.0, 12.0)
) -> sitk.Image:
    """Values (k, j, i) on an axial grid."""
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def twelve_bit(modality: str) -> Preset:
    """A preset that writes DICOM of `modality` in 12 bits, as a scanner does."""
    base = {"CT": "lung_ct", "MR": "brain_mri", "DX": "chest_xray", "CR": "chest_xray"}[modality]
    part = "CHEST" if modality in ("DX", "CR") else "BRAIN"
    preset = replace(get(base), modality=modality, body_part=part)
    if modality != "CT":
        preset = replace(preset, units="counts", intensity=IntensityMap((0, 4095), (-1, 1)))
    return preset


def write_dicom(
    folder: Path, values: np.ndarray, modality: str, *, spacing=(1.5, 1.5, 4.0), **changes
) -> Path:
    """A series of `values` (k, j, i) as a scanner would send it; `changes` to its headers."""
    image = as_image(values, spacing, (0, 0, 0) if modality in ("DX", "CR") else (-80, -90, 12))
    info = write_series(
        image,
        folder,
        preset=twelve_bit(modality),
        job=ExportJob("a scanner"),
        derivation="made up",
        projection=Projection("PA") if modality in ("DX", "CR") else None,
    )
    for file in info.files:
        dataset = pydicom.dcmread(file)
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(file)
    return folder


def write_picture(path: Path, values: np.ndarray) -> Path:
    """A PNG or JPEG of `values` (j, i), 8 or 16 bits as their type says."""
    Image.fromarray(values).save(path)
    return path


SHAPE = (8, 40, 44)


def body():
    """A lung of `SHAPE` in a shell of soft tissue, a CT."""
    values = np.full(SHAPE, -1000, np.float32)
    values[:, 4:36, 4:40], values[:, 8:32, 8:36] = 40, -850
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((2.0, 2.0, 3.0))
    image.SetOrigin((-40.0, -30.0, 12.0))
    return image
