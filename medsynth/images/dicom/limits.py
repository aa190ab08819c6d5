"""What a DICOM file's header asks for, held against the file and `medsynth.limits` before it is done."""

from __future__ import annotations

import zlib
from pathlib import Path

import pydicom
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medsynth import limits

CHUNK = 1 << 20
# PS3.5 A.4: each frame is at least one item of its own, whose tag and length take 8 bytes.
LEAST_BYTES_A_FRAME = 8


def check_inflated_size(path: Path) -> None:
    """Unfold a deflated file piece by piece, keeping nothing, to see how large it would become.

    pydicom unfolds all of it at once, even where only the header is asked for (PS3.5 A.5).

    Raises:
        ValueError: it becomes larger than the limit; or its deflated part is damaged.
    """
    with open(path, "rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    length = meta.get("FileMetaInformationGroupLength")
    start = 132 + 12 + int(length) if length else None
    if start is None:
        raise ValueError("it is deflated, but does not say where its header ends")
    unfolder, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with open(path, "rb") as file:
        file.seek(start)
        while piece := unfolder.unconsumed_tail or file.read(CHUNK):
            size += len(unfolder.decompress(piece, CHUNK))
            limits.INFLATED_BYTES.check(size, path, f"it inflates to {size:,} bytes")


def frame_count(header: pydicom.Dataset, path: Path) -> int:
    """NumberOfFrames, if so many can be in the file.

    Raises:
        ValueError: it is no whole number from 1, above the limits, or more than the file can hold.
    """
    said = header.get("NumberOfFrames")
    if said is None or said == "":
        count = 1
    else:
        try:
            count = int(said)
        except (TypeError, ValueError, OverflowError):
            count = 0
        if count < 1 or count != said:
            raise ValueError(
                f"{path}: NumberOfFrames must be a whole number from 1, got {str(said)[:40]!r}; the "
                "file is damaged, export it again"
            )
    rows, columns = _sides(header, path)
    limits.FRAMES.check(count, path, f"NumberOfFrames is {count:,}")
    limits.PICTURE_PIXELS.check(rows * columns, path, f"slices of {rows} x {columns} pixels")
    limits.VOXELS.check(rows * columns * count, path, f"{count} frames of {rows} x {columns}")
    _check_held(header, path, count, rows * columns)
    return count


def _sides(header: pydicom.Dataset, path: Path) -> tuple[int, int]:
    for keyword in ("Rows", "Columns"):
        value = header.get(keyword)
        if not value:
            raise ValueError(f"{path}: {keyword} is missing; the file is damaged, export it again")
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{path}: {keyword} must be one number, got {str(value)[:40]!r}")
    return header.Rows, header.Columns


def _check_held(header: pydicom.Dataset, path: Path, count: int, pixels: int) -> None:
    """Refuse more frames than the bytes of the file can be, whatever the decoder would do."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        return  # `check_inflated_size` has bounded it, and the decoder counts the bytes
    held = path.stat().st_size
    if syntax is not None and syntax.is_transfer_syntax and syntax.is_compressed:
        needed = count * LEAST_BYTES_A_FRAME
    else:
        bits = header.get("BitsAllocated")
        needed = count * pixels * (bits if isinstance(bits, int) else 1) // 8
    if needed > held:
        raise ValueError(
            f"{path} has pixels that cannot be read (the number of bytes of pixel data is less than "
            f"expected: {count} frames of {header.Rows} x {header.Columns} take at least {needed:,} "
            f"bytes, the file has {held:,}); it is cut off, or its header is damaged"
        )
