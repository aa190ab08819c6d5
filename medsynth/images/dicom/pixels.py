"""Stored DICOM pixels and what they mean: decoding, unused bits, rescale, padding, MONOCHROME1."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_modality_lut, get_decoder, pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from medsynth.errors import MissingExtra
from medsynth.images.damage import naming, one_line
from medsynth.images.dicom import code_stream
from medsynth.images.dicom.frames import numbers

# Retired JPEG processes (6 & 8, 10 & 12) that pydicom has no decoder for; the code stream says
# itself which process it is, so the decoder for processes 2 & 4 reads them.
RETIRED_JPEG = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
# 1.2.840.10008.1.2.4.50 - 81: JPEG and JPEG-LS, whose streams end with an EOI marker (T.81 B.1.1.3)
JPEG_FAMILY = tuple(f"1.2.840.10008.1.2.4.{process}" for process in (5, 6, 7, 8))
END_OF_IMAGE = b"\xff\xd9"
# Their values mean what they say (HU, Bq/ml, signal), whichever way they are displayed.
QUANTITATIVE = ("CT", "PT", "NM", "MR")


def check_monochrome(header: pydicom.Dataset, path: Path) -> None:
    """Raises ValueError for color images."""
    photometric = one_line(header.get("PhotometricInterpretation", "MONOCHROME2"))
    samples = header.get("SamplesPerPixel", 1)
    if samples != 1 or not photometric.startswith("MONOCHROME"):
        raise ValueError(
            f"{path} is a color image ({photometric}, {samples} samples per pixel); only gray "
            "images can be used"
        )


def check_bits(header: pydicom.Dataset, path: Path) -> None:
    """Refuse bits that cannot be (PS3.5 8.1.1): stored ones beyond those allocated.

    Raises:
        ValueError: names the file and the three numbers.
    """
    keywords = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    given = {keyword: header.get(keyword) for keyword in keywords}
    for keyword, value in given.items():
        if not isinstance(value, int) and value not in (None, ""):
            raise ValueError(f"{path}: {keyword} must be one number, got {str(value)[:40]!r}")
    allocated = given["BitsAllocated"]
    if not allocated:
        raise ValueError(f"{path}: BitsAllocated is missing; the file is damaged, export it again")
    stored = given["BitsStored"] or allocated
    high = stored - 1 if given["HighBit"] in (None, "") else given["HighBit"]
    if not (1 <= stored <= allocated and stored - 1 <= high < allocated):
        raise ValueError(
            f"{path}: HighBit {high} and BitsStored {stored} do not fit each other and "
            f"BitsAllocated {allocated}, expected HighBit {stored - 1} (BitsStored - 1); the header "
            "is damaged, export the file again"
        )
    if given["PixelRepresentation"] not in (None, "", 0, 1):
        raise ValueError(
            f"{path}: PixelRepresentation must be 0 or 1, got {given['PixelRepresentation']}"
        )


def decode(path: Path, notes: list[str]) -> np.ndarray:
    """The stored cells of all frames (frames, rows, columns); unused high bits as they are.

    What the decoder remarks is appended to `notes`.

    Raises:
        ValueError: Unknown transfer syntax, truncated or damaged pixels; names the file.
        MissingExtra: The decoder of this transfer syntax is not installed.
    """
    with naming(path, otherwise="has pixels that cannot be read"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # What is collected meanwhile, a socket of somebody else, say, is no remark on this file.
            warnings.simplefilter("ignore", ResourceWarning)
            data = pydicom.dcmread(path, force=True)
            cells = _decode(data, path)
        cells = cells.reshape(-1, int(data.Rows), int(data.Columns))
    notes.extend(dict.fromkeys(f"{path}: {one_line(w.message)}" for w in caught))
    return cells


def _decode(data: pydicom.Dataset, path: Path) -> np.ndarray:
    _name_transfer_syntax(data)
    syntax = data.file_meta.TransferSyntaxUID
    if "PixelData" not in data:
        raise ValueError("PixelData is missing or cut off")
    if syntax in RETIRED_JPEG:
        data.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    try:
        decoder = get_decoder(data.file_meta.TransferSyntaxUID)
    except NotImplementedError:
        raise ValueError(f"the transfer syntax {syntax.name} ({syntax}) is not known") from None
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise MissingExtra(
            f"{path} is compressed as {syntax.name}, whose decoder is not installed ({missing}); "
            "pip install 'medsynth-slicer[dicom]'"
        )
    _check_frames(data, syntax)
    if data.BitsAllocated == 12:
        return _unpack_12_bit(data)
    return pixel_array(data, raw=True, correct_unused_bits=False, allow_excess_frames=False)


def _name_transfer_syntax(dataset: pydicom.Dataset) -> None:
    """Files from before PS3.10 have no meta header; pydicom has then found out how to read them."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )


def _check_frames(data: pydicom.Dataset, syntax: pydicom.uid.UID) -> None:
    """Refuse compressed frames of another size than the object's, or without their end.

    libjpeg fills what is missing of a JPEG or JPEG-LS frame with gray and does not say so.
    """
    if code_stream.reader(syntax) is None:
        return
    count, ends = int(data.get("NumberOfFrames") or 1), syntax.startswith(JPEG_FAMILY)
    for index, frame in enumerate(generate_frames(data.PixelData, number_of_frames=count)):
        if ends and END_OF_IMAGE not in frame[-64:]:
            raise ValueError(f"frame {index + 1} is cut off: its end marker is missing")
        try:
            code_stream.check_size(frame, syntax, int(data.Rows), int(data.Columns))
        except ValueError as error:
            raise ValueError(f"frame {index + 1}: {error}") from None


def _unpack_12_bit(data: pydicom.Dataset) -> np.ndarray:
    """Two cells in three bytes, least significant bits first (PS3.5 8.1.1, figure D.3-1)."""
    if data.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
        raise ValueError("12-bit packed pixels in big endian order are not supported")
    count = int(data.Rows) * int(data.Columns) * int(data.get("NumberOfFrames") or 1)
    packed = np.frombuffer(data.PixelData, np.uint8)
    if 2 * packed.size < 3 * count:
        raise ValueError(
            f"the number of bytes of pixel data is less than expected ({packed.size} vs "
            f"{(3 * count + 1) // 2} bytes)"
        )
    pairs = np.resize(packed, (-(-count // 2), 3)).astype(np.uint16)
    cells = np.empty(2 * len(pairs), np.uint16)
    cells[0::2] = pairs[:, 0] | (pairs[:, 1] & 0x0F) << 8
    cells[1::2] = pairs[:, 1] >> 4 | pairs[:, 2] << 4
    return cells[:count].view(np.int16 if data.PixelRepresentation else np.uint16)


def physical(
    cells: np.ndarray, header: pydicom.Dataset, path: Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """Physical values (rows, columns) float32 of one frame's cells, and its padding mask or None.

    The modality transform is the frame's own: Modality LUT Sequence, else slope and intercept. A
    MONOCHROME1 radiograph is mirrored in the transformed range of its stored bits, so that larger
    is brighter: value' = T(lowest) + T(highest) - T(stored).
    """
    padding = _padding(cells, header, path)
    stored = _significant_bits(cells, header)
    if padding is not None:
        # a padding value that the stored bits cannot hold (-2000 in 12) would come out as tissue
        low, high = stored_range(header)
        stored = np.where(padding & ((cells < low) | (cells > high)), low, stored)
    with np.errstate(over="ignore", invalid="ignore"):
        values = modality_transform(stored, header, path)
        if is_mirrored(header):
            ends = modality_transform(np.array(stored_range(header)), header, path)
            values = ends.sum() - values
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
        raise ValueError(
            f"{path} has voxels that are not finite after its rescale (slope {slope}, intercept "
            f"{intercept}); the header or the pixels are damaged, export the file again"
        )
    return values, padding


def is_mirrored(header: pydicom.Dataset) -> bool:
    """Whether small stored values are bright and have no unit to be turned over with them."""
    inverse = header.get("PhotometricInterpretation") == "MONOCHROME1"
    return inverse and header.get("Modality") not in QUANTITATIVE


def stored_range(header: pydicom.Dataset) -> tuple[int, int]:
    """The smallest and largest value that the stored bits can hold."""
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    if header.get("PixelRepresentation", 0):
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def modality_transform(stored: np.ndarray, header: pydicom.Dataset, path: Path) -> np.ndarray:
    """Stored values to physical ones, float64 (PS3.3 C.11.1)."""
    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header).astype(np.float64)
    slope = numbers(header, "RescaleSlope", count=1, path=path)
    intercept = numbers(header, "RescaleIntercept", count=1, path=path)
    if slope is not None and slope[0] == 0:
        raise ValueError(f"{path}: RescaleSlope is 0, so the pixels mean nothing")
    scaled = stored * (1.0 if slope is None else slope[0])
    return scaled + (0.0 if intercept is None else intercept[0])


def _significant_bits(cells: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """PS3.5 8.1.1: what lies in the bits above BitsStored (old overlays) is not pixel value."""
    width = cells.dtype.itemsize * 8
    bits = int(header.get("BitsStored") or width)
    if bits >= width or cells.dtype.kind not in "iu":
        return cells
    above = width - 1 - int(header.get("HighBit", bits - 1))
    return cells << above >> (width - bits)  # the right shift of a signed type keeps the sign


def _padding(cells: np.ndarray, header: pydicom.Dataset, path: Path) -> np.ndarray | None:
    """Cells from PixelPaddingValue to PixelPaddingRangeLimit, if given (PS3.3 C.7.5.1.1.2).

    Written with the wrong sign by many devices, so both are compared as this image's own type.
    """
    value = numbers(header, "PixelPaddingValue", count=1, path=path)
    if value is None or cells.dtype.kind not in "iu":
        return None
    limit = numbers(header, "PixelPaddingRangeLimit", count=1, path=path)
    ends = [int(value[0]), int(value[0] if limit is None else limit[0])]
    width = cells.dtype.itemsize * 8
    low, high = sorted(
        int(np.array(e % (1 << width), f"u{width // 8}").astype(cells.dtype)) for e in ends
    )
    mask = (cells >= low) & (cells <= high)
    return mask if mask.any() else None
