"""Multi-frame objects: each frame placed and rescaled by its own functional groups."""

import numpy as np
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save
from pydicom.dataset import Dataset

from medsynth.errors import GeometryError
from medsynth.images import read_image

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def item(**attributes) -> Dataset:
    data = Dataset()
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    return data


def enhanced(depths, **attributes) -> Dataset:
    """An Enhanced CT whose frame n is `ramp(n)` at z = depths[n], with intercept -1000 - n."""
    pixels = np.stack([ramp(n) for n in range(len(depths))])
    data = made_up_slice(pixels, (0, 0, 0), SOPClassUID=ENHANCED_CT, NumberOfFrames=len(depths))
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        del data[keyword]
    shared = Dataset()
    shared.PixelMeasuresSequence = [item(PixelSpacing=[0.8, 0.5], SliceThickness=2)]
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for n, z in enumerate(depths):
        frame = Dataset()
        frame.PlanePositionSequence = [item(ImagePositionPatient=[1, 2, z])]
        frame.PixelValueTransformationSequence = [
            item(RescaleSlope=1, RescaleIntercept=-1000 - n, RescaleType="HU")
        ]
        frame.FrameVOILUTSequence = [item(WindowCenter=40, WindowWidth=400)]
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    return data


def test_frames_are_ordered_placed_and_rescaled_each_by_itself(tmp_path):
    path = save(enhanced([7.0, 3.0, 5.0]), tmp_path / "mf.dcm")
    reference = read_image(path)
    assert reference.image.GetOrigin() == (1, 2, 3)
    assert reference.image.GetSpacing() == pytest.approx((0.5, 0.8, 2))
    expected = np.stack([ramp(n) - 1000.0 - n for n in (1, 2, 0)])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(reference.image), expected)


def test_each_slice_gets_a_flat_header(tmp_path):
    reference = read_image(save(enhanced([7.0, 3.0, 5.0]), tmp_path / "mf.dcm"))
    assert [h.ImagePositionPatient[2] for h in reference.headers] == [3, 5, 7]
    assert [h.InstanceNumber for h in reference.headers] == [2, 3, 1]  # the frame number
    for header in reference.headers:
        assert header.PixelSpacing == [0.8, 0.5]
        assert header.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert header.WindowWidth == 400
        assert header.RescaleType == "HU"
        assert header.PatientName == "Made^Up"
        for keyword in ("NumberOfFrames", "PerFrameFunctionalGroupsSequence", "PixelData"):
            assert keyword not in header


def test_a_missing_frame_is_named(tmp_path):
    path = save(enhanced([1.0, 3.0, 7.0, 9.0]), tmp_path / "mf.dcm")
    with pytest.raises(GeometryError, match=r"mf\.dcm \(frame 2\) and .*mf\.dcm \(frame 3\)"):
        read_image(path)


def test_a_series_of_several_multi_frame_files_is_one_volume(tmp_path):
    save(enhanced([1.0, 5.0]), tmp_path / "a.dcm")
    save(enhanced([3.0, 7.0]), tmp_path / "b.dcm")
    values = sitk.GetArrayFromImage(read_image(tmp_path).image)
    expected = np.stack([ramp(n) - 1000.0 - n for n in (0, 0, 1, 1)])
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("frames", [2, 4])
def test_a_wrong_number_of_frames_is_refused(tmp_path, frames):
    path = save(enhanced([1.0, 3.0, 5.0], NumberOfFrames=frames), tmp_path / "mf.dcm")
    with pytest.raises(ValueError, match=f"NumberOfFrames is {frames} but .* describes 3"):
        read_image(path)


def test_frames_without_a_place_are_no_volume(tmp_path):
    pixels = np.stack([ramp(0), ramp(1)])
    data = made_up_slice(
        pixels,
        (0, 0, 0),
        NumberOfFrames=2,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        Modality="US",
    )
    with pytest.raises(GeometryError, match=r"2 images \(or frames\) are pictures of their own"):
        read_image(save(data, tmp_path / "us.dcm"))


def test_time_frames_at_one_place_are_no_volume(tmp_path):
    with pytest.raises(GeometryError, match=r"\(frame 1\) and .*\(frame 2\) lie at the same place"):
        read_image(save(enhanced([3.0, 3.0]), tmp_path / "mf.dcm"))
