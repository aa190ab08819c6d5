"""Headers of volumes and pictures that ask for more than is there, or for files elsewhere."""

import gzip
import struct
import time
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from medsynth.images import read_image, read_mask

VALUES = np.arange(120, dtype=np.int16).reshape(6, 5, 4)


@pytest.fixture(autouse=True)
def quick():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 5


def nrrd(path, *lines, data=b""):
    text = "\n".join(["NRRD0004", "type: uchar", *lines, "", ""])
    path.write_bytes(text.encode() + data)
    return path


def refused(path, words):
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=words) as error:
            read(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["raw", "ascii", "hex", "gzip"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_nrrd_too_small_for_its_sizes(tmp_path, encoding, suffix):
    fields = ("dimension: 3", "sizes: 500 500 500", f"encoding: {encoding}")
    refused(nrrd(tmp_path / f"a{suffix}", *fields, data=b"\0" * 99), "voxels take at least")


def test_nrrd_of_too_many_voxels(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", "dimension: 3", "sizes: 9999 9999 9999", "encoding: gzip")
    refused(path, "MEDSYNTH_MAX_VOXELS")


@pytest.mark.parametrize("sizes", ["", "a b c", "1e9 1 1", "-1 -1 2", "9" * 30])
def test_nrrd_without_sizes(tmp_path, sizes):
    refused(nrrd(tmp_path / "a.nrrd", "dimension: 3", f"sizes: {sizes}"), "damaged .sizes must be")


def test_header_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_MAX_HEADER_BYTES", "1000")
    refused(nrrd(tmp_path / "a.nrrd", *["# nothing"] * 200), "MEDSYNTH_MAX_HEADER_BYTES")


def meta(path, data="LOCAL", **fields):
    given = {"ObjectType": "Image", "NDims": 3, "DimSize": "4 5 6", "BinaryData": "True"}
    given |= {"ElementType": "MET_SHORT", **fields, "ElementDataFile": data}
    path.write_text("".join(f"{key} = {value}\n" for key, value in given.items()))
    return path


@pytest.mark.parametrize(
    "fields",
    [
        {"DimSize": "500 500 500"},
        {"DimSize": "500 500 500", "CompressedData": "True"},
        {"DimSize": "9999 9999 9999", "CompressedData": "True"},
        {"NDims": 2},
        {"NDims": 99},
        {"DimSize": "-4 5 6"},
        {"ElementNumberOfChannels": "4000000"},
    ],
)
def test_metaimage_that_cannot_be(tmp_path, fields):
    refused(meta(tmp_path / "a.mha", **fields), "take at least|MAX_VOXELS|may be damaged")


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    path = tmp_path / "elsewhere" / "secret.raw"
    path.write_bytes(VALUES.tobytes())
    (tmp_path / "here" / "link.raw").symlink_to(path)
    (tmp_path / "here" / "mine.raw").write_bytes(VALUES.tobytes())
    return path


OUTSIDE = ["{secret}", "../elsewhere/secret.raw", "link.raw", "../elsewhere/%s.raw 1 1 1"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_nrrd_reads_no_file_outside_its_folder(tmp_path, secret, name, suffix):
    name = name.format(secret=secret)
    fields = ("dimension: 3", "sizes: 4 5 6", "encoding: raw")
    path = tmp_path / "here" / f"a{suffix}"
    refused(nrrd(path, *fields, f"data file: {name}"), "outside its own folder")
    refused(nrrd(path, *fields, f"datafile: {name}"), "outside its own folder")
    listed = (*fields, "data file: LIST", name, "", "mine.raw")
    refused(nrrd(path, *listed), "outside its own folder")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_metaimage_reads_no_file_outside_its_folder(tmp_path, secret, name, suffix):
    path = tmp_path / "here" / f"a{suffix}"
    name = name.format(secret=secret)
    refused(meta(path, name), "outside its own folder")
    refused(meta(path, f"LIST\n{name}"), "outside its own folder")


def test_detached_headers_in_one_folder_are_read(tmp_path, secret):
    here = tmp_path / "here"
    fields = ("dimension: 3", "sizes: 4 5 6", "encoding: raw")
    for path in (
        meta(here / "a.mhd", "mine.raw"),
        nrrd(here / "a.nhdr", *fields, "data file: mine.raw").rename(here / "b.nhdr"),
    ):
        text = path.read_text().replace("type: uchar", "type: short\nendian: little")
        path.write_text(text)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path).image), VALUES)
    refused(meta(here / "a.mhd", "gone.raw"), "gone.raw, is not there")


def test_many_files_of_one_volume_are_read(tmp_path):
    for k, plane in enumerate(VALUES):
        (tmp_path / f"p{k + 1:02d}.raw").write_bytes(plane.tobytes())
    fields = ("dimension: 3", "sizes: 4 5 6", "encoding: raw", "endian: little")
    path = nrrd(tmp_path / "a.nhdr", *fields, "data file: p%02d.raw 1 6 1 2")
    path.write_text(path.read_text().replace("uchar", "short"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path).image), VALUES)


def png(path, columns, rows):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_png_bombs(tmp_path):
    refused(png(tmp_path / "a.png", 60_000, 60_000), "MEDSYNTH_MAX_PICTURE_PIXELS")
    refused(png(tmp_path / "a.png", 10_000, 10_000), "take at least")
    (tmp_path / "b.png").write_text("NRRD0004")
    refused(tmp_path / "b.png", "does not begin like a PNG")


def test_jpeg_bombs(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    data = path.read_bytes()
    at = data.index(b"\xff\xc0") + 5
    path.write_bytes(data[:at] + struct.pack(">HH", 12_000, 12_000) + data[at + 4 :])
    refused(path, "MEDSYNTH_MAX_PICTURE_PIXELS")


def test_a_jpeg_named_png_is_read_as_what_it_is(tmp_path):
    Image.fromarray(np.full((64, 64), 99, np.uint8)).save(tmp_path / "a.png", format="JPEG")
    assert sitk.GetArrayFromImage(read_image(tmp_path / "a.png").image).max() == 99


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_too_small_for_its_shape(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    nibabel.save(nibabel.Nifti1Image(VALUES, np.eye(4)), path)
    opened = gzip.open if suffix.endswith("gz") else open
    with opened(path, "rb") as file:
        data = bytearray(file.read())
    for shape, words in (((700, 700, 700), "take at least"), ((32767,) * 3, "MAX_VOXELS")):
        data[42:48] = struct.pack("<hhh", *shape)
        with opened(path, "wb") as file:
            file.write(data)
        refused(path, words)


def test_nifti_extension_that_is_larger_than_its_room(tmp_path):
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(VALUES, np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 40))
    nibabel.save(image, path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path).image).T, VALUES)
    data = bytearray(path.read_bytes())
    data[352:356] = struct.pack("<i", 2**30)
    path.write_bytes(data)
    refused(path, "header extension of 1073741824 bytes")
