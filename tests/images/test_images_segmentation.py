"""DICOM SEG written by highdicom, read back on the grid that its own frames describe."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from images_made_up_dicom import save_segmentation, save_series

from medsynth.errors import GeometryError
from medsynth.images import check_same_geometry, read_image, read_mask, resample_mask

ANGLE = 0.4
IOP = [np.cos(ANGLE), 0, np.sin(ANGLE), 0, 1, 0]
NORMAL = np.array([-np.sin(ANGLE), 0, np.cos(ANGLE)])


@pytest.fixture
def ct(tmp_path):
    """An oblique CT of 7 slices, 6 rows and 5 columns: its folder."""
    folder = tmp_path / "ct"
    iop = [round(float(v), 12) for v in IOP]
    save_series(folder, 7, step=2.0 * NORMAL, ImageOrientationPatient=iop)
    return folder


def write_seg(ct, path, masks, kind, **options):
    """`masks`: (k, j, i) or, for several segments, (k, j, i, segment)."""
    headers = [pydicom.dcmread(p) for p in ct.glob("*.dcm")]
    headers.sort(key=lambda h: np.dot(h.ImagePositionPatient, NORMAL))
    return save_segmentation(headers, masks, path, kind=kind, **options)


def lesion():
    mask = np.zeros((7, 6, 5), np.uint8)
    mask[1, 2:4, 1:4] = 1
    mask[2, 3, 1] = 1
    mask[5, 0, 4] = 1
    return mask


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
@pytest.mark.parametrize("omit", [True, False])
def test_read_back_on_the_ct_grid(ct, tmp_path, kind, omit):
    masks = lesion().astype(np.float32) if kind == "FRACTIONAL" else lesion()
    path = write_seg(ct, tmp_path / "seg.dcm", masks, kind, omit_empty_frames=omit)
    reference = read_image(ct).image
    on_ct = resample_mask(read_mask(path), reference)
    check_same_geometry(on_ct, reference)
    assert on_ct.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(on_ct), lesion())
    if not omit:
        check_same_geometry(read_mask(path), reference)


def test_slices_whose_empty_frames_were_left_out_stay_empty(ct, tmp_path):
    """Frames at slices 1, 2 and 5: the three between are part of the grid and empty."""
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "BINARY", omit_empty_frames=True)
    assert pydicom.dcmread(path).NumberOfFrames == 3
    mask = read_mask(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), lesion()[1:6])
    expected = np.array([1, 2, 3]) + 2.0 * NORMAL
    assert mask.GetOrigin() == pytest.approx(expected, abs=1e-6)


def test_only_every_other_slice_has_a_frame(ct, tmp_path):
    """The smallest distance is twice the step, but the file says what the step is."""
    masks = np.zeros((7, 6, 5), np.uint8)
    masks[[0, 2, 6], 2, 2] = 1
    path = write_seg(ct, tmp_path / "seg.dcm", masks, "BINARY", omit_empty_frames=True)
    mask = read_mask(path)
    assert mask.GetSpacing()[2] == pytest.approx(2.0)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), masks)


def test_segments_are_united(ct, tmp_path):
    two = np.zeros((7, 6, 5, 2), np.uint8)
    two[2, 1, 1, 0] = two[2, 1, 2, 0] = two[2, 1, 2, 1] = two[4, 5, 0, 1] = 1
    path = write_seg(ct, tmp_path / "seg.dcm", two, "BINARY")
    marked = np.argwhere(sitk.GetArrayFromImage(read_mask(path)))
    assert (marked + [2, 0, 0]).tolist() == [[2, 1, 1], [2, 1, 2], [4, 5, 0]]


def test_fractions_count_from_one_half(ct, tmp_path):
    masks = np.zeros((7, 6, 5), np.float32)
    masks[3, 0, :4] = [0.49, 0.5, 0.51, 1.0]
    options = {"max_fractional_value": 100, "fractional_type": "PROBABILITY"}
    path = write_seg(ct, tmp_path / "seg.dcm", masks, "FRACTIONAL", **options)
    assert sitk.GetArrayFromImage(read_mask(path))[0, 0].tolist() == [0, 1, 1, 1, 0]


def test_padding_of_a_labelmap_is_no_segment(ct, tmp_path):
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "LABELMAP", omit_empty_frames=False)
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.copy()
    pixels[0, 0, 0] = 9
    data.PixelData = pixels.tobytes()
    data.PixelPaddingValue = 9
    data.save_as(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_mask(path)), lesion())


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_frames_in_any_order(ct, tmp_path, order):
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "LABELMAP", omit_empty_frames=True)
    data = pydicom.dcmread(path)
    groups = data.PerFrameFunctionalGroupsSequence
    data.PerFrameFunctionalGroupsSequence = [groups[n] for n in order]
    data.PixelData = data.pixel_array[order].tobytes()
    data.save_as(path)
    mask = read_mask(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), lesion()[1:6])
    assert mask.GetOrigin() == pytest.approx(np.array([1, 2, 3]) + 2.0 * NORMAL, abs=1e-6)


def test_a_labelmap_is_no_image(ct, tmp_path):
    """Its SOP class is newer than pydicom's dictionary."""
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "LABELMAP")
    with pytest.raises(ValueError, match="a segmentation is given as a mask"):
        read_image(path)


def test_a_seg_is_no_image_and_two_segs_are_not_one_mask(ct, tmp_path):
    folder = tmp_path / "segs"
    folder.mkdir()
    first = write_seg(ct, folder / "a.dcm", lesion(), "BINARY")
    with pytest.raises(ValueError, match="1 x Segmentation Storage; a segmentation is given as a"):
        read_image(first)
    assert sitk.GetArrayFromImage(read_mask(folder)).sum() == lesion().sum()
    (folder / "b.dcm").write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match=r"2 DICOM segmentations \(a\.dcm, b\.dcm\); name one"):
        read_mask(folder)


def test_a_seg_beside_its_ct_is_left_out_of_the_image_and_found_as_mask(ct):
    write_seg(ct, ct / "seg.dcm", lesion(), "BINARY")
    reference = read_image(ct)
    assert reference.image.GetSize() == (5, 6, 7)
    assert "1 x Segmentation Storage" in reference.warnings[0]
    assert sitk.GetArrayFromImage(read_mask(ct)).sum() == lesion().sum()


def test_frames_on_no_regular_grid_are_refused(ct, tmp_path):
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "BINARY")
    data = pydicom.dcmread(path)
    groups = data.PerFrameFunctionalGroupsSequence
    position = np.array(groups[2].PlanePositionSequence[0].ImagePositionPatient, float)
    moved = position + 0.7 * NORMAL
    groups[2].PlanePositionSequence[0].ImagePositionPatient = [round(float(v), 9) for v in moved]
    data.save_as(path)
    with pytest.raises(GeometryError, match="not evenly spaced"):
        read_mask(path)
    moved = position + [0, 0.6, 0]
    groups[2].PlanePositionSequence[0].ImagePositionPatient = [round(float(v), 9) for v in moved]
    data.save_as(path)
    with pytest.raises(GeometryError, match="sheared"):
        read_mask(path)


def test_truncated_seg_names_the_file(ct, tmp_path):
    path = write_seg(ct, tmp_path / "seg.dcm", lesion(), "BINARY")
    data = pydicom.dcmread(path)
    data.PixelData = data.PixelData[:4]
    data.save_as(path)
    with pytest.raises(ValueError, match=r"seg\.dcm has pixels that cannot be read"):
        read_mask(path)
