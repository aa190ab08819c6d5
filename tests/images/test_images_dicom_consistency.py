"""Every slice of a series is looked at: whose it is, and what its values mean."""

import os
import re
import time

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save, save_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, MRImageStorage, generate_uid

from medsynth.images import read_image, read_mask
from medsynth.images.dicom.limits import CHUNK

PLACE = (0, 0, 0)


def with_one_changed(folder, **attributes):
    """A series of five whose fourth file has other attributes; returns that file and another."""
    paths = save_series(folder)
    data = pydicom.dcmread(paths[3])
    for keyword, value in attributes.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    data.save_as(paths[3])
    return paths[3], paths


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"PatientID": "2"}, "two patients (PatientID"),
        ({"PatientName": "Other^Name"}, "two patients (PatientName"),
        ({"StudyInstanceUID": generate_uid()}, "two studies"),
        ({"FrameOfReferenceUID": generate_uid()}, "two frames of reference"),
        ({"FrameOfReferenceUID": None}, "two frames of reference"),
        ({"Modality": "MR"}, "two modalities"),
        ({"SOPClassUID": MRImageStorage}, "two SOP classes"),
        ({"RescaleIntercept": None}, "with and without it (RescaleIntercept"),
        ({"RescaleSlope": None}, "with and without it (RescaleSlope"),
        ({"RescaleSlope": -1}, "turned over and not (sign of RescaleSlope"),
        ({"RescaleType": "US"}, "different units (RescaleType"),
        ({"PixelRepresentation": 1}, "differ in kind (PixelRepresentation"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "differ in kind (PhotometricInterp"),
    ],
)
def test_one_slice_that_does_not_belong(tmp_path, attributes, what):
    odd, paths = with_one_changed(tmp_path, **attributes)
    with pytest.raises(ValueError, match=re.escape(what)) as error:
        read_image(tmp_path)
    assert str(odd) in str(error.value)
    assert any(str(path) in str(error.value) for path in paths if path != odd)


@pytest.mark.parametrize(
    "attributes",
    [
        {"RescaleType": "HU"},
        {"PatientName": "MADE^UP^^^"},
        {"RescaleIntercept": -1000, "RescaleSlope": 2},
        {"InstanceNumber": 99, "SeriesDescription": "another word"},
    ],
)
def test_what_may_differ(tmp_path, attributes):
    with_one_changed(tmp_path, **attributes)
    assert read_image(tmp_path).image.GetSize() == (5, 6, 5)


def test_a_slope_below_zero_everywhere_is_a_warning(tmp_path):
    save_series(tmp_path, RescaleSlope=-1)
    assert any("slope is -1" in note for note in read_image(tmp_path).warnings)


def test_lossy_compression_of_a_later_slice_is_a_warning(tmp_path):
    with_one_changed(tmp_path, LossyImageCompression="01")
    assert any("lossy" in note for note in read_image(tmp_path).warnings)


def test_one_sop_instance_uid_for_all(tmp_path):
    uid = generate_uid()
    paths = save_series(tmp_path, SOPInstanceUID=uid)
    with pytest.raises(ValueError, match=f"same SOPInstanceUID {uid}") as error:
        read_image(tmp_path)
    assert sum(str(path) in str(error.value) for path in paths) == 2


def test_voxels_that_become_infinite(tmp_path):
    path = save(made_up_slice(ramp(1), PLACE, RescaleSlope=1e308), tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*not finite.*slope 1e[+]?308"):
        read_image(path)


@pytest.mark.parametrize(("stored", "high"), [(12, 10), (12, 16), (17, 16), (0, 70)])
def test_bits_that_do_not_fit(tmp_path, stored, high):
    data = made_up_slice(ramp(1), PLACE, BitsStored=stored, HighBit=high)
    path = save(data, tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=f"HighBit {high} and BitsStored") as error:
        read_image(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("frames", ["0", "-1", "1000000000", "2000000", "90000"])
def test_number_of_frames_that_cannot_be(tmp_path, frames):
    path = save(made_up_slice(ramp(1), PLACE, NumberOfFrames=frames), tmp_path / "a.dcm")
    start = time.monotonic()
    with pytest.raises(ValueError, match="NumberOfFrames|less than expected") as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert time.monotonic() - start < 2


def test_large_sides_of_a_small_file(tmp_path):
    path = save(made_up_slice(ramp(1), PLACE, Rows=60_000, Columns=60_000), tmp_path / "a.dcm")
    with pytest.raises(ValueError, match="MEDSYNTH_MAX_PICTURE_PIXELS"):
        read_image(path)


def test_a_deflated_bomb_is_not_unfolded(tmp_path, monkeypatch):
    data = made_up_slice(ramp(1), PLACE)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    small = save(data, tmp_path / "a.dcm")
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_image(small).image)[0], ramp(1) - 1024.0
    )
    monkeypatch.setenv("MEDSYNTH_MAX_INFLATED_BYTES", str(4 * CHUNK))
    data.add_new((0x0009, 0x0010), "LO", "X")
    data.add_new((0x0009, 0x1001), "OB", bytes(16 * CHUNK))
    bomb = save(data, tmp_path / "b.dcm")
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ValueError, match="MEDSYNTH_MAX_INFLATED_BYTES") as error:
        read_image(bomb)
    assert "inflates to 5," in str(error.value)  # stopped soon after the limit


def test_pipes_and_dangling_links_are_left_out(tmp_path):
    save_series(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "lost.dcm").symlink_to(tmp_path / "nowhere.dcm")
    read = read_image(tmp_path)
    assert read.image.GetSize() == (5, 6, 5)
    assert any("2 links that lead nowhere" in note for note in read.warnings)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_a_pipe_by_name_is_refused(tmp_path, read):
    os.mkfifo(tmp_path / "a.nrrd")
    with pytest.raises(ValueError, match="pipe or a device"):
        read(tmp_path / "a.nrrd")


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_series_uid_is_named_in_one_line(tmp_path):
    with_one_changed(tmp_path, SeriesInstanceUID="1.2.\n3")
    with pytest.raises(ValueError, match="holds 2 series: .*1.2. 3 ") as error:
        read_image(tmp_path)
    assert "\n" not in str(error.value)
