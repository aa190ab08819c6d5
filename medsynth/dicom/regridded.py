"""The header of a reference that was brought onto another grid, as the writer needs it."""

from __future__ import annotations

import copy

from pydicom.dataset import Dataset

from medsynth.dicom.geometry import ds

# What described the stored values, the grid or its place on the detector, and no longer does.
STALE = (
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
    *("VOILUTSequence", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("SmallestImagePixelValue", "LargestImagePixelValue", "PixelAspectRatio"),
    *("DetectorBinning", "FieldOfViewOrigin", "FieldOfViewDimensions", "FieldOfViewShape"),
    *("FieldOfViewRotation", "FieldOfViewHorizontalFlip"),
)


def regridded(header: Dataset, *, size: tuple[int, int], step: float) -> Dataset:
    """A copy of `header` for 8-bit gray values on `size` = (columns, rows) pixels.

    Args:
        step: the reference's pixels per pixel of the new grid.
    """
    header = copy.deepcopy(header)
    for keyword in STALE:
        header.pop(keyword, None)
    header.Columns, header.Rows = size
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 8, 7
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        if header.get(keyword):
            setattr(header, keyword, ds([float(v) * step for v in header[keyword].value]))
    return header
