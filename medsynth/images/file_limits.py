"""What the header of a volume or a picture asks for, held against its file and `medsynth.limits`.

The headers are read here once more, and only for that: SimpleITK and nibabel allocate first.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path

import nibabel

from medsynth import limits

# Bytes of one value by the last word of its type; what is not known counts as one byte.
TYPE_BYTES = {
    **dict.fromkeys(("short", "ushort", "int16", "uint16", "int16_t", "uint16_t"), 2),
    **dict.fromkeys(("int", "uint", "int32", "uint32", "int32_t", "uint32_t", "float"), 4),
    **dict.fromkeys(("double", "int64", "uint64", "longlong", "ulonglong", "int64_t"), 8),
}
# How many bytes of a file a byte of voxels takes at least, by encoding.
LEAST = {
    "raw": 1.0,
    "gzip": 1 / limits.DEFLATE_RATIO,
    "ascii": 1 / 8,  # one digit for a double
    "hex": 2.0,
    "unknown": 0.0,
}
NRRD_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "hex": "hex"} | dict.fromkeys(
    ("ascii", "text", "txt"), "ascii"
)
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def check_nrrd(path: Path) -> None:
    """Refuse an NRRD that asks for too much, or for voxels from outside its folder.

    Raises:
        ValueError: says what it asks for.
    """
    fields: dict[str, str] = {}
    for line in _header_lines(path):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[re.sub(r"\s", "", key).lower()] = value.strip()
    sizes = _whole_numbers(fields.get("sizes", ""), path, "sizes")
    kind = TYPE_BYTES.get(fields.get("type", "").lower().split(" ")[-1], 1)
    encoding = NRRD_ENCODINGS.get(fields.get("encoding", "").lower(), "unknown")
    held = path.stat().st_size
    if (detached := fields.get("datafile")) is not None:
        names = _names_after_list(path) if detached.startswith("LIST") else [detached]
        held = _check_inside(path, names)
    _check(path, sizes, kind, encoding, held)


def check_metaimage(path: Path) -> None:
    """As `check_nrrd`, of a MetaImage."""
    fields: dict[str, str] = {}
    lines = _header_lines(path)
    for line in lines:
        key, *rest = re.split(r"\s*[:=]\s*|\s+", line.strip(), maxsplit=1)
        fields[key] = rest[0].strip() if rest else ""
        if key == "ElementDataFile":
            break
    sizes = _whole_numbers(fields.get("DimSize", ""), path, "DimSize")
    dimensions = _whole_numbers(fields.get("NDims", ""), path, "NDims")
    if dimensions != [len(sizes)] or not 1 <= len(sizes) <= 10:
        raise ValueError(
            f"{path} cannot be read; it may be damaged (NDims is {fields.get('NDims')!r}, DimSize "
            f"{fields.get('DimSize', '')[:80]!r})"
        )
    channels = _whole_numbers(fields.get("ElementNumberOfChannels", "1"), path, "channels")
    word = fields.get("ElementType", "").lower().removeprefix("met_").removesuffix("_array")
    encoding = "raw" if fields.get("BinaryData", "").lower()[:1] in ("t", "1") else "ascii"
    if fields.get("CompressedData", "").lower()[:1] in ("t", "1"):
        encoding = "gzip"
    held, detached = path.stat().st_size, fields.get("ElementDataFile", "")
    if detached.upper() not in ("", "LOCAL"):
        names = list(lines) if detached.upper().startswith("LIST") else [detached]
        held = _check_inside(path, names)
    _check(path, [*sizes, *channels], TYPE_BYTES.get(word, 1), encoding, held)


def check_nifti(path: Path) -> None:
    """As `check_nrrd`, of a NIfTI file; its header extensions must end where the voxels begin."""
    zipped = path.name.lower().endswith(".gz")
    with gzip.open(path) if zipped else open(path, "rb") as file:
        block = file.read(540)
        of_second_version = block[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
        kind = nibabel.Nifti2Header if of_second_version else nibabel.Nifti1Header
        header = kind(block[: kind.template_dtype.itemsize], check=False)
        start = float(header["vox_offset"])
        if not 0 <= start <= limits.HEADER_BYTES.value:
            raise ValueError(
                f"{path}: vox_offset is {start:g}, {limits.HEADER_BYTES.refusal()}"
                if start > 0
                else f"{path} cannot be read; it may be damaged (vox_offset is {start:g})"
            )
        _check_extensions(path, file, kind.template_dtype.itemsize, int(start), header.endianness)
    width = header.get_data_dtype().itemsize
    sizes = [int(n) for n in header.get_data_shape()]
    _check(path, sizes, width, "gzip" if zipped else "raw", path.stat().st_size)


def _check_extensions(
    path: Path, file: BufferedIOBase, place: int, end: int, endianness: str
) -> None:
    """NIfTI-1.1: after the header a flag, then (size, code, content) each, up to the voxels."""
    file.seek(place)
    flag = file.read(4)
    place += 4
    while flag[:1] not in (b"", b"\0") and place + 16 <= end:
        head = file.read(8)
        size = int.from_bytes(head[:4], "big" if endianness == ">" else "little", signed=True)
        if len(head) < 8 or size < 8 or place + size > end:
            raise ValueError(
                f"{path} cannot be read; it may be damaged (a header extension of {size} bytes, "
                f"{end - place} before the voxels)"
            )
        file.seek(size - 8, 1)
        place += size


def check_png(path: Path) -> None:
    """As `check_nrrd`, of a PNG."""
    with open(path, "rb") as file:
        start = file.read(26)
    if start[:8] != b"\x89PNG\r\n\x1a\n" or start[12:16] != b"IHDR" or len(start) < 26:
        raise ValueError(f"{path} cannot be read; it may be damaged (it does not begin like a PNG)")
    columns, rows = (int.from_bytes(start[at : at + 4], "big") for at in (16, 20))
    check_picture(path, columns, rows)
    row_bytes = columns * start[24] * PNG_CHANNELS.get(start[25], 1) / 8
    _check_held(path, rows * row_bytes * LEAST["gzip"], path.stat().st_size, [columns, rows])


def check_picture(path: Path, columns: int, rows: int) -> None:
    """Refuse pictures of too many pixels.

    Raises:
        ValueError: says how many there are.
    """
    limits.PICTURE_PIXELS.check(columns * rows, path, f"{columns} x {rows} pixels")


BY_SUFFIX: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys((".nrrd", ".nhdr"), check_nrrd),
    **dict.fromkeys((".mha", ".mhd"), check_metaimage),
    ".png": check_png,
}


def _header_lines(path: Path) -> Iterator[str]:
    """The lines of a text header, one at a time; what follows it is not looked at."""
    left = limits.HEADER_BYTES.value
    with open(path, "rb") as file:
        while line := file.readline(left):
            left -= len(line)
            yield line.decode("latin-1").rstrip("\r\n")
            if left <= 0:
                raise ValueError(f"{path}: its header has no end, {limits.HEADER_BYTES.refusal()}")


def _names_after_list(path: Path) -> list[str]:
    """NRRD0004: the names of the files follow the field `data file: LIST`, one a line."""
    found, names = False, []
    for line in _header_lines(path):
        if found and line.strip():
            names.append(line)
        key, _, value = line.partition(":")
        found = found or (re.sub(r"\s", "", key).lower() == "datafile" and "LIST" in value)
    return names


def _whole_numbers(words: str, path: Path, what: str) -> list[int]:
    if not re.fullmatch(r"[+]?\d{1,18}(\s+[+]?\d{1,18}){0,15}", words.strip(), re.ASCII):
        raise ValueError(
            f"{path} cannot be read; it may be damaged ({what} must be whole numbers, got "
            f"{words[:80]!r})"
        )
    return [int(word) for word in words.split()]


def _check_inside(path: Path, names: list[str]) -> int:
    """The bytes of the files that hold the voxels of a detached header.

    Raises:
        ValueError: one does not lie in the header's folder or below it, or is no file.
    """
    folder, held = path.parent.resolve(), 0
    for name in (name.strip() for name in names if name.strip()):
        # `slice%03d.raw 1 20 1` numbers the files; the folder is in its first word all the same
        numbered = "%" in name
        for word in {name, name.split(" ")[0]} if numbered else {name}:
            file = (path.parent / word).resolve()
            if not file.is_relative_to(folder):
                raise ValueError(
                    f"{path} takes its voxels from {word[:200]}, outside its own folder {folder}; "
                    "put that file beside the header, or save the image as one file"
                )
        files = (
            sorted(folder.glob(re.sub(r"%\d*[di]", "*", name.split(" ")[0]))) if numbered else []
        )
        for each in files or ([] if numbered else [file]):
            if not each.resolve().is_relative_to(folder):
                raise ValueError(f"{path} takes its voxels from {each}, a link out of its folder")
            if not each.is_file():
                raise ValueError(
                    f"{path} cannot be read: the file of its voxels, {name[:200]}, is not there"
                )
            held += each.stat().st_size
    return held


def _check(path: Path, sizes: list[int], width: int, encoding: str, held: int) -> None:
    voxels = math.prod(sizes)
    limits.VOXELS.check(voxels, path, f"{' x '.join(map(str, sizes))} voxels")
    _check_held(path, voxels * width * LEAST[encoding], held, sizes)


def _check_held(path: Path, needed: float, held: int, sizes: list[int]) -> None:
    if needed > held:
        raise ValueError(
            f"{path} cannot be read; it may be damaged or cut off ({' x '.join(map(str, sizes))} "
            f"voxels take at least {math.ceil(needed):,} bytes, there are {held:,})"
        )
