"""DICOM folders: what is found, how slices are ordered and placed, and what is refused and why."""

import re
import struct

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save, save_series
from pydicom.fileset import FileSet

from medsynth.errors import GeometryError
from medsynth.images import read_image

# 30 degrees about x, then 20 about z: columns are row, column and normal
OBLIQUE = np.array(
    [
        [np.cos(0.35), -np.sin(0.35) * np.cos(0.52), np.sin(0.35) * np.sin(0.52)],
        [np.sin(0.35), np.cos(0.35) * np.cos(0.52), -np.cos(0.35) * np.sin(0.52)],
        [0, np.sin(0.52), np.cos(0.52)],
    ]
)
IOP = [round(float(v), 10) for v in OBLIQUE[:, :2].T.ravel()]


def edit(path, **attributes):
    data = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    data.save_as(path)
    return path


def voxels(reference):
    return sitk.GetArrayFromImage(reference.image)


def test_slices_are_ordered_along_the_normal_and_placed_in_mm(tmp_path):
    paths = save_series(tmp_path, 5, step=2.0 * OBLIQUE[:, 2], ImageOrientationPatient=IOP)
    reference = read_image(tmp_path)
    assert reference.image.GetSize() == (5, 6, 5)
    assert reference.image.GetSpacing() == pytest.approx((0.5, 0.8, 2.0))  # i has column spacing
    assert reference.image.GetOrigin() == pytest.approx((1, 2, 3))
    np.testing.assert_allclose(
        np.reshape(reference.image.GetDirection(), (3, 3)), OBLIQUE, atol=1e-9
    )
    np.testing.assert_array_equal(voxels(reference), np.stack([ramp(k) for k in range(5)]) - 1024.0)
    uids = [pydicom.dcmread(p).SOPInstanceUID for p in paths]
    assert [h.SOPInstanceUID for h in reference.headers] == uids
    assert all("PixelData" not in h and h.Rows == 6 for h in reference.headers)
    assert reference.warnings == ()
    assert reference.padding is None
    assert not reference.is_2d


def test_agrees_with_gdcm(tmp_path):
    """An independent reader puts the same values at the same places."""
    save_series(tmp_path, 5, step=2.0 * OBLIQUE[:, 2], ImageOrientationPatient=IOP)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    gdcm, ours = reader.Execute(), read_image(tmp_path).image
    np.testing.assert_array_equal(sitk.GetArrayFromImage(gdcm), sitk.GetArrayFromImage(ours))
    for index in ((0, 0, 0), (4, 5, 4), (4, 0, 2)):
        expected = gdcm.TransformIndexToPhysicalPoint(index)
        assert ours.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-6)


def test_order_does_not_depend_on_the_sign_of_the_step(tmp_path):
    save_series(tmp_path, 4, step=(0, 0, -2.0))
    reference = read_image(tmp_path)
    assert reference.image.GetOrigin() == pytest.approx((1, 2, -3))
    np.testing.assert_array_equal(voxels(reference)[0], ramp(3) - 1024.0)


def test_each_slice_has_its_own_rescale(tmp_path):
    paths = save_series(tmp_path, 3)
    edit(paths[1], RescaleSlope=0.5, RescaleIntercept=100)
    values = voxels(read_image(tmp_path))
    np.testing.assert_array_equal(values[1], ramp(1) * 0.5 + 100)
    np.testing.assert_array_equal(values[2], ramp(2) - 1024.0)


def test_other_files_beside_the_series_do_not_matter(tmp_path):
    save_series(tmp_path / "deep" / "er", 3)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    save_series(tmp_path / ".hidden", 2, SeriesInstanceUID="1.2.3")
    report = made_up_slice(ramp(0), (0, 0, 0), Modality="SR", Rows=None, PixelData=None)
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    save(report, tmp_path / "report.dcm")
    reference = read_image(tmp_path)
    assert reference.image.GetSize()[2] == 3
    assert len(reference.warnings) == 1
    assert "1 x Basic Text SR Storage" in reference.warnings[0]


def test_empty_folder_and_folder_without_dicom(tmp_path):
    with pytest.raises(ValueError, match=r"holds no DICOM image \(no files\)"):
        read_image(tmp_path)
    (tmp_path / "ct.nrrd").write_text("x")
    with pytest.raises(ValueError, match="1 other files, such as ct.nrrd"):
        read_image(tmp_path)


def test_a_dicomdir_is_no_image_and_no_matter(tmp_path):
    medium = FileSet()
    for path in save_series(tmp_path / "ct", 3, StudyDate="20200101", StudyTime="120000"):
        medium.add(path)
    medium.write(tmp_path / "disc")
    assert (tmp_path / "disc" / "DICOMDIR").exists()
    reference = read_image(tmp_path / "disc")
    assert reference.image.GetSize()[2] == 3
    assert reference.warnings == ()


def test_a_dcm_file_that_is_not_dicom_is_not_passed_over(tmp_path):
    paths = save_series(tmp_path, 3)
    paths[2].write_bytes(b"")  # the last slice: no gap would betray it
    with pytest.raises(ValueError, match=re.escape(f"{paths[2]} is not DICOM in spite of")):
        read_image(tmp_path)


def test_two_series_are_listed_and_one_can_be_chosen(tmp_path):
    save_series(tmp_path, 3, SeriesDescription="soft")
    save_series(tmp_path / "b", 4, SeriesInstanceUID="1.2.3.4", SeriesDescription="lung")
    with pytest.raises(ValueError, match="2 series") as caught:
        read_image(tmp_path)
    message = str(caught.value)
    assert "(CT soft, 3 files)" in message
    assert "1.2.3.4 (CT lung, 4 files)" in message
    assert "series_uid" in message
    assert "\n" not in message
    assert read_image(tmp_path, series_uid="1.2.3.4").image.GetSize()[2] == 4
    with pytest.raises(ValueError, match=r"no series '9\.9'.*CT lung"):
        read_image(tmp_path, series_uid="9.9")


def test_a_missing_slice_is_named_by_its_neighbors(tmp_path):
    paths = save_series(tmp_path, 6)
    paths[3].unlink()
    with pytest.raises(GeometryError, match="1 slice is missing") as caught:
        read_image(tmp_path)
    assert str(paths[2]) in str(caught.value)
    assert str(paths[4]) in str(caught.value)
    assert "4.00 mm apart, the others 2.00 mm" in str(caught.value)
    paths[4].unlink()
    with pytest.raises(GeometryError, match="2 slices are missing"):
        read_image(tmp_path)


def test_uneven_steps_are_refused_and_rounding_is_only_remarked(tmp_path):
    paths = save_series(tmp_path, 5)
    edit(paths[4], ImagePositionPatient=[1, 2, 11.06])
    reference = read_image(tmp_path)
    assert reference.image.GetSpacing()[2] == pytest.approx(8.06 / 4)
    assert "vary by up to 0.060 mm" in reference.warnings[0]
    edit(paths[4], ImagePositionPatient=[1, 2, 11.5])
    with pytest.raises(GeometryError, match="not evenly spaced") as caught:
        read_image(tmp_path)
    assert str(paths[4]) in str(caught.value)


def test_slices_thinner_than_their_step_are_remarked(tmp_path):
    save_series(tmp_path, 4, step=(0, 0, 4.0))
    assert "4.00 mm apart but are 2.00 mm thick" in read_image(tmp_path).warnings[0]


def test_a_duplicate_slice_is_named(tmp_path):
    paths = save_series(tmp_path, 4)
    copy = tmp_path / "again.dcm"
    copy.write_bytes(paths[2].read_bytes())
    with pytest.raises(GeometryError, match="a duplicate slice") as caught:
        read_image(tmp_path)
    assert str(copy) in str(caught.value)
    assert str(paths[2]) in str(caught.value)


def test_time_points_are_told_from_a_duplicate(tmp_path):
    save_series(tmp_path / "a", 4)
    save_series(tmp_path / "b", 4)
    with pytest.raises(GeometryError, match="2 images at each of 4 positions"):
        read_image(tmp_path)


def test_mixed_orientations_sizes_and_spacings_are_refused(tmp_path):
    paths = save_series(tmp_path, 4)
    original = paths[1].read_bytes()
    for change, words in (
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "orientation [1.0, 0.0, 0.0, 0.0, 0.0"),
        ({"PixelSpacing": [0.9, 0.5]}, "of 0.9 x 0.5 mm"),
        ({"Rows": 5, "PixelData": ramp(1, rows=5).tobytes()}, "1 x 5 rows x 5 columns"),
    ):
        edit(paths[1], **change)
        with pytest.raises(GeometryError, match="2 different geometries") as caught:
            read_image(tmp_path)
        assert words in str(caught.value)
        assert str(paths[1]) in str(caught.value)
        paths[1].write_bytes(original)


def test_localizers_in_the_series_are_left_out_with_a_word(tmp_path):
    paths = save_series(tmp_path, 4)
    edit(paths[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    reference = read_image(tmp_path)
    assert reference.image.GetSize()[2] == 3
    assert f"1 localizer images were left out, such as {paths[0]}" in reference.warnings


def test_gantry_tilt_is_refused_with_its_angle(tmp_path):
    save_series(tmp_path, 5, step=(0, 2 * np.tan(np.radians(12)), 2.0), GantryDetectorTilt=12)
    with pytest.raises(GeometryError, match=r"sheared.*gantry tilt of 12\.00 degrees"):
        read_image(tmp_path)


def test_one_shifted_slice_is_refused_by_name(tmp_path):
    paths = save_series(tmp_path, 5)
    edit(paths[2], ImagePositionPatient=[1.4, 2, 7])
    with pytest.raises(
        GeometryError, match=re.escape(f"{paths[2]} is shifted in its plane by 0.40")
    ):
        read_image(tmp_path)


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_missing_rows_name_the_file(tmp_path, keyword):
    paths = save_series(tmp_path, 3)
    edit(paths[1], **{keyword: None})
    with pytest.raises(ValueError, match=re.escape(f"{paths[1]}: {keyword} is missing")):
        read_image(tmp_path)


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_missing_position_in_a_series_names_the_file(tmp_path, keyword):
    paths = save_series(tmp_path, 3)
    edit(paths[1], **{keyword: None})
    with pytest.raises(GeometryError, match=re.escape(str(paths[1]))):
        read_image(tmp_path)


def test_several_radiographs_are_not_a_volume(tmp_path):
    save_series(tmp_path, 2, ImagePositionPatient=None, ImageOrientationPatient=None, Modality="MG")
    with pytest.raises(GeometryError, match="the 2 images .* pictures of their own"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PixelSpacing": [0.8, 0]}, "PixelSpacing must be positive"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 2, 0]}, "two orthogonal unit vectors"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.8660254, 0]}, "two orthogonal unit vectors"),
        ({"ImagePositionPatient": [1, 2]}, "ImagePositionPatient must be 3 numbers"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "is a color image (RGB, 3"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "is a color image (PALETTE COLOR"),
        ({"PixelData": b"\0" * 40}, "has pixels that cannot be read (The number of bytes"),
        ({"PixelData": None}, "PixelData is missing or cut off"),
    ],
)
def test_what_is_wrong_with_one_file_is_said_with_its_name(tmp_path, change, words):
    paths = save_series(tmp_path, 3)
    edit(paths[1], **change)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read_image(tmp_path)
    assert str(caught.value).startswith(str(paths[1]))
    assert "\n" not in str(caught.value)


def test_words_where_numbers_belong_name_the_file(tmp_path):
    path = save_series(tmp_path, 1)[0]
    path.write_bytes(path.read_bytes().replace(b"0.8\\0.5 ", b"0.8\\abcd"))
    with pytest.raises(
        ValueError, match="has a PixelSpacing that cannot be read as numbers"
    ) as caught:
        read_image(tmp_path)
    assert str(path) in str(caught.value)


def test_unknown_transfer_syntax_names_file_and_uid(tmp_path):
    paths = save_series(tmp_path, 2)
    raw = paths[1].read_bytes()
    known, unknown = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"
    assert raw.count(known) == 1
    paths[1].write_bytes(raw.replace(known, unknown))
    with pytest.raises(ValueError, match=r"transfer syntax .*1\.2\.840\.10008\.1\.2\.7") as caught:
        read_image(tmp_path)
    assert str(paths[1]) in str(caught.value)


def test_file_cut_off_in_its_header_names_the_file(tmp_path):
    paths = save_series(tmp_path, 3)
    whole = paths[1].read_bytes()
    start = whole.index(struct.pack("<HH", 0x0028, 0x0010))
    paths[1].write_bytes(whole[: start + 3])
    with pytest.raises(ValueError, match=re.escape(str(paths[1]))):
        read_image(tmp_path)


def test_a_single_slice_is_as_thick_as_it_says(tmp_path):
    path = save_series(tmp_path, 1)[0]
    assert read_image(path).image.GetSpacing() == pytest.approx((0.5, 0.8, 2.0))
    edit(path, SliceThickness=None, SpacingBetweenSlices=3.5)
    assert read_image(path).image.GetSpacing()[2] == 3.5
    edit(path, SpacingBetweenSlices=None)
    reference = read_image(path)
    assert reference.image.GetSpacing()[2] == 1.0
    assert "1 mm is assumed" in reference.warnings[0]


def test_a_file_without_preamble_and_meta_header_is_dicom(tmp_path):
    data = made_up_slice(ramp(1), (1, 2, 3))
    del data.file_meta
    pydicom.dcmwrite(tmp_path / "old", data, implicit_vr=True, little_endian=True)
    assert (tmp_path / "old").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(voxels(read_image(tmp_path))[0], ramp(1) - 1024.0)


def test_a_radiograph_lies_at_the_origin_with_the_pixel_size_of_its_detector(tmp_path):
    data = made_up_slice(
        ramp(1),
        (0, 0, 0),
        Modality="DX",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        SliceThickness=None,
        ImagerPixelSpacing=[0.2, 0.1],
        RescaleIntercept=0,
    )
    reference = read_image(save(data, tmp_path / "dx.dcm"))
    assert reference.is_2d
    assert reference.image.GetSpacing() == pytest.approx((0.1, 0.2, 1.0))
    assert reference.image.GetDirection() == tuple(np.eye(3).ravel())
    assert "ImagerPixelSpacing" in reference.warnings[0]
    assert "no position and orientation" in reference.warnings[1]
    data.PixelSpacing = [0.19, 0.09]  # calibrated: stands above the detector's
    calibrated = read_image(save(data, tmp_path / "dx.dcm"))
    assert calibrated.image.GetSpacing() == pytest.approx((0.09, 0.19, 1.0))
    del data.PixelSpacing, data.ImagerPixelSpacing
    data.PixelAspectRatio = [6, 5]
    squeezed = read_image(save(data, tmp_path / "dx.dcm"))
    assert squeezed.image.GetSpacing() == pytest.approx((1.0, 1.2, 1.0))
    assert "does not say its pixel size" in squeezed.warnings[0]


def test_objects_that_are_no_images_say_what_they_are(tmp_path):
    data = made_up_slice(ramp(0), (0, 0, 0), Modality="RTSTRUCT", Rows=None, PixelData=None)
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    with pytest.raises(
        ValueError, match=r"1 x RT Structure Set Storage; convert the structure set"
    ):
        read_image(save(data, tmp_path / "rt.dcm"))


def test_progress_is_told(tmp_path):
    save_series(tmp_path, 3)
    events = []
    read_image(tmp_path, listener=events.append)
    assert [(e.kind, e.done, e.total) for e in events] == [
        ("stage", 0, 3),
        ("progress", 1, 3),
        ("progress", 2, 3),
        ("progress", 3, 3),
    ]
