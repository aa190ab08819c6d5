"""A compressed frame of another size than its object is refused before it is decoded."""

import pydicom
import pytest
from images_made_up_dicom import made_up_slice, ramp, save
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from medsynth.images import read_image
from medsynth.images.dicom import code_stream, pixels

ROWS, COLUMNS = 40, 56


def siz(rows, columns, *, left=0, top=0, step=1, components=1):
    """The start of a JPEG 2000 code stream (T.800 A.4.1, A.5.1)."""
    numbers = (columns + left, rows + top, left, top, columns, rows, left, top)
    sizes = b"".join(n.to_bytes(4, "big") for n in numbers)
    parts = bytes((15, step, step)) * components
    body = b"\0\0" + sizes + components.to_bytes(2, "big") + parts
    return b"\xff\x4f\xff\x51" + (len(body) + 2).to_bytes(2, "big") + body + b"\xff\x52\0\x0c"


def sof(rows, columns, marker):
    body = b"\x10" + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + b"\1\1\x11\0"
    table = b"\xff\xc4\0\x05abc"
    return (
        b"\xff\xd8" + table + b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body
    )


@pytest.fixture
def decoded(monkeypatch):
    """Counts calls of the decoder."""
    calls = []
    real = pixels.pixel_array
    monkeypatch.setattr(pixels, "pixel_array", lambda *a, **k: calls.append(1) or real(*a, **k))
    return calls


def planted(path, syntax, frame):
    data = made_up_slice(ramp(1, rows=ROWS, columns=COLUMNS), (0, 0, 0))
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([frame])
    data["PixelData"].is_undefined_length = True
    return save(data, path)


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000Lossless, siz(20_000, 20_000)),
        (JPEG2000, siz(ROWS, 20_000)),
        (JPEG2000, b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c" + siz(20_000, 20_000)),
        (JPEGLSLossless, sof(20_000, 20_000, 0xF7) + b"\xff\xda\xff\xd9"),
        (JPEGLosslessSV1, sof(20_000, 20_000, 0xC3) + b"\xff\xda\xff\xd9"),
        (JPEGLosslessSV1, sof(ROWS, COLUMNS, 0xC3) + sof(20_000, 99, 0xC3)[2:] + b"\xff\xd9"),
    ],
)
def test_a_planted_size_is_not_decoded(tmp_path, decoded, syntax, frame):
    path = planted(tmp_path / "a.dcm", syntax, frame)
    with pytest.raises(ValueError, match=rf"a\.dcm.*frame 1: its code stream is \d+ x .*{ROWS} x"):
        read_image(path)
    assert not decoded


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000, b"\xff\x4f\xff\x51\0\x29"),
        (JPEG2000, siz(ROWS, COLUMNS, components=0)),
        (JPEG2000, b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0abcd"),
        (JPEGLSLossless, b"\xff\xd8\xff\xda\xff\xd9"),
        (JPEGLSLossless, b"\xff\xd8\xff\xf7\0\x40\xff\xd9"),
        (JPEGLSLossless, b"\xff\xd9" * 9),
    ],
)
def test_a_stream_without_its_size(tmp_path, decoded, syntax, frame):
    with pytest.raises(ValueError, match=r"a\.dcm.*frame 1: its code stream does not begin"):
        read_image(planted(tmp_path / "a.dcm", syntax, frame))
    assert not decoded


def test_sizes_of_the_grid_and_of_each_component():
    assert code_stream.jpeg_2000_sizes(siz(40, 56, left=3, top=5)) == [(40, 56), (40, 56)]
    assert code_stream.jpeg_2000_sizes(siz(40, 56, step=2))[1] == (20, 28)
    # the component of an offset grid: ceil(59 / 2) - ceil(3 / 2) columns, ceil(45 / 2) - ceil(5 / 2)
    assert code_stream.jpeg_2000_sizes(siz(40, 56, left=3, top=5, step=2))[1] == (20, 28)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_what_encoders_write_is_read(tmp_path, syntax):
    data = made_up_slice(ramp(1, rows=ROWS, columns=COLUMNS), (0, 0, 0))
    data.compress(syntax)
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    assert set(code_stream.reader(syntax)(frame)) == {(ROWS, COLUMNS)}
    path = save(data, tmp_path / "a.dcm")
    assert read_image(path).image.GetSize() == (COLUMNS, ROWS, 1)
    data = pydicom.dcmread(path)
    data.Rows = ROWS - 1
    data.save_as(path)
    with pytest.raises(
        ValueError, match=rf"{ROWS} x {COLUMNS} pixels, Rows x Columns say {ROWS - 1}"
    ):
        read_image(path)
