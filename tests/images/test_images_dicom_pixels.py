"""What stored DICOM pixels mean: bits, signs, rescale, padding, polarity, every transfer syntax."""

import re
import socket
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medsynth.images import is_mirrored, modality_transform, read_image, stored_range
from medsynth.images.dicom import pixels as stored_pixels

PLACE = (0, 0, 0)
SIGNED = np.array([[-2000, -1, 0], [1, 2047, -2048]], np.int16)


def values(path):
    return sitk.GetArrayFromImage(read_image(path).image)[0]


def test_what_others_leave_open_is_no_remark_on_a_file(tmp_path, monkeypatch):
    """A socket that is collected while pixels are decoded is not the file's matter."""
    path = save(made_up_slice(SIGNED, PLACE), tmp_path / "a.dcm")
    real = stored_pixels._decode

    def decoding(*args):
        socket.socket()  # collected at once, with a ResourceWarning
        return real(*args)

    monkeypatch.setattr(stored_pixels, "_decode", decoding)
    assert read_image(path).warnings == ()


def test_signed_pixels_keep_their_sign(tmp_path):
    path = save(made_up_slice(SIGNED, PLACE), tmp_path / "a.dcm")
    np.testing.assert_array_equal(values(path), SIGNED - 1024.0)


def test_twelve_signed_bits_in_sixteen(tmp_path):
    """The unused high bits are zero, not copies of the sign (PS3.5 8.1.1)."""
    cells = (SIGNED & 0x0FFF).astype(np.int16)
    path = save(made_up_slice(cells, PLACE, BitsStored=12, HighBit=11), tmp_path / "a.dcm")
    np.testing.assert_array_equal(values(path), SIGNED - 1024.0)


def test_overlays_in_the_unused_bits_are_no_pixel_value(tmp_path):
    cells = ramp(1) | np.uint16(0x8000)
    path = save(made_up_slice(cells, PLACE, BitsStored=12, HighBit=11), tmp_path / "a.dcm")
    np.testing.assert_array_equal(values(path), ramp(1) - 1024.0)


def test_bits_that_end_below_the_lowest(tmp_path):
    """HighBit 15 with 12 bits stored: the pixel lies in the upper twelve bits."""
    cells = (ramp(1) << 4 | 5).astype(np.uint16)
    path = save(made_up_slice(cells, PLACE, BitsStored=12, HighBit=15), tmp_path / "a.dcm")
    np.testing.assert_array_equal(values(path), ramp(1) - 1024.0)


@pytest.mark.parametrize("columns", [4, 5])
def test_twelve_bits_packed(tmp_path, columns):
    pixels = ramp(1, rows=3, columns=columns) + 2000
    flat = np.append(pixels.ravel(), np.zeros(pixels.size % 2, np.uint16)).astype(int)
    first, second = flat[0::2], flat[1::2]
    packed = np.stack([first & 255, first >> 8 | (second & 15) << 4, second >> 4], axis=1)
    raw = packed.astype(np.uint8).tobytes()[: (3 * pixels.size + 1) // 2]
    data = made_up_slice(pixels, PLACE, BitsAllocated=12, BitsStored=12, HighBit=11)
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    path = save(data, tmp_path / "a.dcm")
    np.testing.assert_array_equal(values(path), pixels - 1024.0)
    if pixels.size % 2 == 0:
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(path))[0], values(path))
    data.PixelData = raw[:8]
    with pytest.raises(ValueError, match="bytes of pixel data is less than expected"):
        values(save(data, path))


def test_padding_is_marked_and_keeps_its_value(tmp_path):
    cells = SIGNED.copy()
    path = save(made_up_slice(cells, PLACE, PixelPaddingValue=-2000), tmp_path / "a.dcm")
    reference = read_image(path)
    np.testing.assert_array_equal(reference.padding[0], cells == -2000)
    assert sitk.GetArrayFromImage(reference.image)[0, 0, 0] == -3024


def test_padding_range_and_padding_in_one_slice_only(tmp_path):
    for k in range(3):
        extra = {"PixelPaddingValue": 1010, "PixelPaddingRangeLimit": 1001} if k == 1 else {}
        save(made_up_slice(ramp(k), (0, 0, 2 * k), **extra), tmp_path / f"{k}.dcm")
    padding = read_image(tmp_path).padding
    assert not padding[0].any()
    assert not padding[2].any()
    np.testing.assert_array_equal(padding[1], (ramp(1) >= 1001) & (ramp(1) <= 1010))


def test_padding_outside_the_stored_bits(tmp_path):
    """-2000 in a 12-bit unsigned image: the whole cell is compared, and no padding becomes bone."""
    cells = ramp(1)
    cells[0, 0] = 65536 - 2000
    data = made_up_slice(cells, PLACE, BitsStored=12, HighBit=11, PixelPaddingValue=63536)
    reference = read_image(save(data, tmp_path / "a.dcm"))
    assert np.argwhere(reference.padding).tolist() == [[0, 0, 0]]
    assert values(tmp_path / "a.dcm")[0, :2].tolist() == [-1024, 1001 - 1024]


def test_no_padding_voxel_means_no_mask(tmp_path):
    path = save(made_up_slice(ramp(1), PLACE, PixelPaddingValue=7), tmp_path / "a.dcm")
    assert read_image(path).padding is None


def test_a_monochrome1_radiograph_is_mirrored_in_its_range(tmp_path):
    data = made_up_slice(
        ramp(0), PLACE, Modality="CR", PhotometricInterpretation="MONOCHROME1", BitsStored=10
    )
    data.HighBit = 9
    data.RescaleSlope, data.RescaleIntercept = 2, 100
    reference = read_image(save(data, tmp_path / "a.dcm"))
    got = sitk.GetArrayFromImage(reference.image)[0]
    np.testing.assert_array_equal(got, 2.0 * (1023 - ramp(0)) + 100)  # larger is brighter
    assert any("inverted so that larger is brighter" in w for w in reference.warnings)
    header = reference.headers[0]
    assert is_mirrored(header)
    assert stored_range(header) == (0, 1023)
    ends = modality_transform(np.array(stored_range(header)), header, tmp_path)
    back = (ends.sum() - got - 100) / 2  # how a writer gets the stored values again
    np.testing.assert_array_equal(back, ramp(0))


def test_hounsfield_units_are_never_mirrored(tmp_path):
    data = made_up_slice(ramp(1), PLACE, PhotometricInterpretation="MONOCHROME1")
    reference = read_image(save(data, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(reference.image)[0], ramp(1) - 1024.0)
    assert "the values are kept" in reference.warnings[0]


def test_modality_lut_stands_for_the_rescale(tmp_path):
    lut = pydicom.Dataset()
    table = (np.arange(60) ** 2).astype(np.uint16)
    lut.LUTDescriptor = [60, 1, 16]  # 60 entries, the first for stored value 1
    lut.ModalityLUTType = "OD"
    lut.LUTData = table.tobytes()
    lut["LUTData"].VR = "OW"
    data = made_up_slice(ramp(0), PLACE, RescaleSlope=None, RescaleIntercept=None)
    data.ModalityLUTSequence = [lut]
    data.Modality = "MG"
    expected = table[np.clip(ramp(0).astype(int) - 1, 0, 59)].astype(float)
    np.testing.assert_array_equal(values(save(data, tmp_path / "a.dcm")), expected)
    data.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(
        values(save(data, tmp_path / "a.dcm")), table[0] + table[-1] - expected
    )


def test_a_ct_without_rescale_is_remarked(tmp_path):
    data = made_up_slice(ramp(1), PLACE, RescaleSlope=None, RescaleIntercept=None)
    reference = read_image(save(data, tmp_path / "a.dcm"))
    assert reference.warnings == ("the CT has no rescale: its values may not be HU",)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("pixels", [SIGNED.repeat(32, 0).repeat(32, 1), ramp(2, 64, 64)])
def test_lossless_compression_gives_the_same_values(tmp_path, syntax, pixels):
    data = made_up_slice(pixels, PLACE)
    data.compress(syntax, generate_instance_uid=False)
    path = save(data, tmp_path / "a.dcm")
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(values(path), pixels - 1024.0)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_syntaxes_give_the_same_values(tmp_path, syntax):
    pixels = SIGNED.astype(">i2") if syntax == ExplicitVRBigEndian else SIGNED
    data = made_up_slice(SIGNED, PLACE, PixelData=pixels.tobytes(), PixelPaddingValue=-2000)
    data.file_meta.TransferSyntaxUID = syntax
    reference = read_image(save(data, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(reference.image)[0], SIGNED - 1024.0)
    np.testing.assert_array_equal(reference.padding[0], SIGNED == -2000)


@pytest.mark.parametrize(
    ("options", "bits", "tolerance"),
    [
        (["+e1"], 16, 0),  # process 14 selection value 1
        (["+el"], 16, 0),  # process 14
        (["+ee", "+q", "95"], 12, 30),  # processes 2 and 4, lossy
        (["+ep", "+q", "95"], 12, 30),  # processes 10 and 12: progressive, retired
        (["+es", "+q", "95"], 12, 30),  # processes 6 and 8: spectral selection, retired
    ],
)
def test_jpeg_as_dcmtk_writes_it(tmp_path, needs_tool, options, bits, tolerance):
    compress = needs_tool("dcmcjpeg", "dcmtk")
    smooth = (800 + 400 * np.sin(np.arange(64) / 9)[:, None] * np.cos(np.arange(64) / 7)).round()
    data = made_up_slice(smooth.astype(np.uint16), PLACE, BitsStored=bits, HighBit=bits - 1)
    plain = save(data, tmp_path / "plain.dcm")
    subprocess.run([compress, *options, plain, tmp_path / "a.dcm"], check=True)
    syntax = pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID
    assert syntax.is_compressed, syntax
    assert np.abs(values(tmp_path / "a.dcm") - values(plain)).max() <= tolerance
    lossy = any("lossy compression" in w for w in read_image(tmp_path / "a.dcm").warnings)
    assert lossy == (tolerance > 0)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_frame_that_is_cut_off_names_the_file(tmp_path, syntax):
    noise = np.random.default_rng(0).integers(0, 4000, (32, 32)).astype(np.uint16)
    data = made_up_slice(noise, PLACE)
    data.compress(syntax, generate_instance_uid=False)
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    data.PixelData = encapsulate([frame[: len(frame) // 2]])
    path = save(data, tmp_path / "cut.dcm")
    with pytest.raises(
        ValueError, match=re.escape(f"{path} has pixels that cannot be read")
    ) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
