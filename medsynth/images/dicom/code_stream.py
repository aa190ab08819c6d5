"""The size that a compressed frame gives itself, read before a decoder allocates it.

A code stream is a file of its own inside the DICOM file: a few hundred bytes of it can stand for
20,000 x 20,000 pixels in an object of 64 x 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

SIZE_LENGTH = 38
# T.81 table B.1 and T.87 table C.1: frame headers (SOFn, JPEG-LS SOF55) hold the size; the markers
# from 0xC0 that do not are DHT, JPG and DAC.
JPEG_FRAMES = (set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
ALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RSTn, SOI: markers without a length
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def reader(syntax: str) -> Callable[[bytes], list[tuple[int, int]]] | None:
    """What reads the sizes (rows, columns) in a frame of this transfer syntax; None: it has none."""
    if syntax.startswith(tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("9", "20"))):
        return jpeg_2000_sizes
    if syntax.startswith(tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("5", "6", "7", "8"))):
        return jpeg_sizes
    return None


def check_size(frame: bytes, syntax: str, rows: int, columns: int) -> None:
    """Refuse a frame that would not be decoded to `rows` x `columns`.

    Raises:
        ValueError: says both sizes, or that the frame has none.
    """
    sizes_of = reader(syntax)
    if sizes_of is None:
        return
    try:
        sizes = sizes_of(frame)
    except (IndexError, ValueError):
        sizes = []
    if not sizes:
        raise ValueError("its code stream does not begin with its size; it is damaged or cut off")
    for size in sizes:
        if size != (rows, columns):
            raise ValueError(
                f"its code stream is {size[0]} x {size[1]} pixels, Rows x Columns say {rows} x "
                f"{columns}; the file is damaged, export it again"
            )


def jpeg_2000_sizes(frame: bytes) -> list[tuple[int, int]]:
    """The reference grid and each component of a JPEG 2000 code stream (T.800 A.5.1, SIZ)."""
    start = _code_stream_in_boxes(frame) if frame[4:8] == b"jP  " else 0
    head = frame[start : start + SIZE_LENGTH + 4]
    if head[:4] != b"\xff\x4f\xff\x51" or len(head) < SIZE_LENGTH + 4:
        return []
    right, bottom, left, top = (_number(head, at, 4) for at in (8, 12, 16, 20))
    count = _number(head, 40, 2)
    steps = frame[start + 42 : start + 42 + 3 * count]
    if count == 0 or len(steps) < 3 * count:
        return []
    sizes = [(bottom - top, right - left)]
    for across, down in zip(steps[1::3], steps[2::3], strict=True):
        columns = -(-right // across) + (-left // across)  # ceilings, T.800 B-15
        sizes.append((-(-bottom // down) + (-top // down), columns))
    return sizes


def _code_stream_in_boxes(frame: bytes) -> int:
    """Where the code stream of a JP2 file begins (T.800 I.4); some devices store one as a frame."""
    place = 0
    while place + 8 <= len(frame):
        length, start = _number(frame, place, 4), place + 8
        if length == 1:
            length, start = _number(frame, place + 8, 8), place + 16
        if frame[place + 4 : place + 8] == b"jp2c":
            return start
        if length < 8:
            break
        place += length
    raise ValueError("no code stream")


def jpeg_sizes(frame: bytes) -> list[tuple[int, int]]:
    """The size in each frame header before the first scan of a JPEG or JPEG-LS stream."""
    if frame[:2] != b"\xff\xd8":
        return []
    return [
        (_number(content, 1, 2), _number(content, 3, 2))
        for marker, content in _segments(frame)
        if marker in JPEG_FRAMES
    ]


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """The marker segments up to the first scan (T.81 B.1.1.4)."""
    place = 0
    while True:
        place = frame.index(0xFF, place)
        while frame[place] == 0xFF:  # any number of fill bytes
            place += 1
        marker = frame[place]
        place += 1
        if marker in (START_OF_SCAN, END_OF_IMAGE):
            return
        if marker == 0 or marker in ALONE:
            continue
        length = _number(frame, place, 2)
        yield marker, frame[place + 2 : place + length]
        place += length


def _number(content: bytes, place: int, length: int) -> int:
    part = content[place : place + length]
    if len(part) < length:
        raise ValueError("cut off")
    return int.from_bytes(part, "big")
