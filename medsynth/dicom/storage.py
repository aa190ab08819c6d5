"""How the reference stores its pixels: rescale, depth, padding, photometric interpretation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medsynth.dicom.image_classes import ImageClass
from medsynth.dicom.pixels import Depth, Padding, Rescale
from medsynth.domains import Preset
from medsynth.images.dicom.pixels import is_mirrored, modality_transform, stored_range

LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{suffix}"
    for suffix in ("50", "51", "53", "55", "81", "91", "93", "100", "102", "104", "107")
)


def rescale_of(header: Dataset) -> Rescale:
    """The slope and intercept of `header`.

    Where it has a modality look-up table instead, values are in the units which that table gives.
    """
    mirror = None
    if is_mirrored(header):
        ends = np.array(stored_range(header))
        mirror = float(modality_transform(ends, header, Path("reference")).sum())
    if header.get("RescaleSlope") in (None, "") or header.get("ModalityLUTSequence"):
        return Rescale(mirror=mirror)
    return Rescale(float(header.RescaleSlope), float(header.get("RescaleIntercept") or 0), mirror)


def rescale_without_reference(preset: Preset) -> Rescale:
    """One step is one unit of the preset.

    Raises:
        ValueError: the preset's values are too fine for integers.
    """
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    if high - low < 255:
        raise ValueError(
            f"preset {preset.name} spans {low} to {high}, which integers cannot tell apart; DICOM "
            "needs an intensity map of at least 256 units"
        )
    return Rescale()


def depth_of(header: Dataset | None, row: ImageClass) -> Depth:
    """The reference's own depth, at least what the class demands; 16 bits without a reference."""
    if header is None:
        return Depth(16, row.may_be_signed)
    if header.get("ModalityLUTSequence"):
        # PS3.3 C.11.1.1.1: the third value is the number of bits of each entry.
        return Depth(
            max(row.least_bits, int(header.ModalityLUTSequence[0].LUTDescriptor[2])), False
        )
    bits = min(16, max(int(header.get("BitsStored") or 16), row.least_bits))
    return Depth(bits, row.may_be_signed and header.get("PixelRepresentation") == 1)


def may_widen(header: Dataset | None) -> bool:
    """Whether more bits would mean the same image: not where the range itself is turned over."""
    return header is None or not is_mirrored(header)


def padding_of(header: Dataset | None, *, may_be_signed: bool = True) -> Padding | None:
    """The reference's padding value and range, None when it has none.

    A modality look-up table turns padding into ordinary values; it is then none any more. A value
    that only the bits above BitsStored can hold (-2000 in unsigned 12 bits) is the negative one
    that was meant, if the class `may_be_signed`.
    """
    if header is None or header.get("PixelPaddingValue") in (None, ""):
        return None
    if header.get("ModalityLUTSequence"):
        return None
    value = _as_stored(header, "PixelPaddingValue", may_be_signed=may_be_signed)
    if header.get("PixelPaddingRangeLimit") in (None, ""):
        return Padding(value, value)
    limit = _as_stored(header, "PixelPaddingRangeLimit", may_be_signed=may_be_signed)
    return Padding(value, limit)


def _as_stored(header: Dataset, keyword: str, *, may_be_signed: bool) -> int:
    # US or SS by PixelRepresentation, but many devices write it with the wrong sign, and with an
    # unknown value representation it is still bytes.
    value = header[keyword].value
    number = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    number %= 1 << 16
    beyond = number >= 1 << int(header.get("BitsStored") or 16)
    signed = header.get("PixelRepresentation") == 1 or (may_be_signed and beyond)
    return number - (1 << 16) if signed and number >= 1 << 15 else number


def photometric_of(header: Dataset | None) -> str:
    """The reference's own photometric interpretation."""
    given = header.get("PhotometricInterpretation") if header is not None else None
    return given or "MONOCHROME2"


def is_lossy(header: Dataset | None) -> bool:
    """Whether the reference ever was compressed with loss, by its header or transfer syntax."""
    if header is None:
        return False
    meta = getattr(header, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    return header.get("LossyImageCompression") == "01" or syntax in LOSSY_SYNTAXES
