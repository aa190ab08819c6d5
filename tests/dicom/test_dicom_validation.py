"""Each fault in an export is refused; the untouched export passes."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import JOB, SHAPE, hounsfield, oblique_image, reference_headers, write_made

from medsynth.dicom import LesionMask, validate, write_segmentation
from medsynth.errors import GeometryError

pytestmark = pytest.mark.slow


@pytest.fixture
def image():
    return oblique_image(hounsfield() + 0.25)


@pytest.fixture
def export(tmp_path, image):
    info = write_made(tmp_path, image, headers=reference_headers(image))
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1:3, 4:8, 4:8] = 1
    mask = sitk.GetImageFromArray(voxels)
    mask.CopyInformation(image)
    write_segmentation(
        [LesionMask(mask, "Nodule", "solid")], tmp_path / "seg", files=info.files, job=JOB
    )
    return tmp_path


def _change(file, **values):
    dataset = pydicom.dcmread(file)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(file)


def test_an_untouched_export_passes(export, image):
    report = validate(export, image=image)
    assert (report.images, report.segmentations, report.segments) == (5, 1, 1)
    assert report.max_error == pytest.approx(0.25)
    assert report.beyond_tolerance == 0


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("image/0002.dcm", {"SyntheticData": "NO"}, "SyntheticData is not YES"),
        ("seg/0001.dcm", {"SyntheticData": "NO"}, "SyntheticData is not YES"),
        ("image/0001.dcm", {"SeriesDescription": "CT"}, "SeriesDescription does not begin"),
        ("image/0001.dcm", {"ImageComments": ""}, "ImageComments does not begin"),
        ("image/0001.dcm", {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, "ImageType"),
        ("image/0001.dcm", {"DerivationDescription": ""}, "DerivationDescription is missing"),
        ("image/0001.dcm", {"DerivationCodeSequence": []}, "DerivationCodeSequence is missing"),
        ("image/0001.dcm", {"ContributingEquipmentSequence": []}, "109100"),
        ("image/0001.dcm", {"Manufacturer": "SCANCORP"}, "Manufacturer is not the synthesizer"),
        ("image/0001.dcm", {"DerivationDescription": "x" * 1025}, "longer than 1024"),
        ("image/0001.dcm", {"StudyInstanceUID": "1.2.3"}, "StudyInstanceUID differs"),
        ("image/0001.dcm", {"PatientID": "4711"}, "PatientID differs"),
        ("image/0001.dcm", {"SeriesInstanceUID": "1.2.3"}, "SeriesInstanceUID differs"),
        ("seg/0001.dcm", {"FrameOfReferenceUID": "1.2.3"}, "FrameOfReferenceUID differs"),
        ("image/0001.dcm", {"ReferencedSeriesSequence": []}, "lists 0 by series"),
        ("image/0001.dcm", {"SOPInstanceUID": "1.2.3"}, "another SOP instance UID"),
    ],
)
def test_a_fault_in_an_object_is_refused(export, image, file, values, message):
    _change(export / file, **values)
    with pytest.raises(ValueError, match=message):
        validate(export, image=image)


def test_private_attributes_are_refused(export):
    file = export / "image" / "0003.dcm"
    dataset = pydicom.dcmread(file)
    dataset.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "LO", "x")
    dataset.save_as(file)
    with pytest.raises(ValueError, match="private attributes"):
        validate(export)


def test_a_slice_in_the_wrong_place_is_refused(export, image):
    position = pydicom.dcmread(export / "image" / "0002.dcm").ImagePositionPatient
    _change(export / "image" / "0002.dcm", ImagePositionPatient=[position[0] + 0.5, *position[1:]])
    with pytest.raises(GeometryError, match="not evenly spaced"):
        validate(export)


def test_another_grid_is_refused(export, image):
    shifted = sitk.Image(image)
    shifted.SetOrigin((0, 0, 0))
    with pytest.raises(GeometryError, match="lies elsewhere"):
        validate(export, image=shifted)
    with pytest.raises(GeometryError, match="5 slices"):
        validate(export, image=image[:, :, :4])


def test_changed_pixels_are_refused_unless_exempt(export, image):
    file = export / "image" / "0002.dcm"
    dataset = pydicom.dcmread(file)
    pixels = dataset.pixel_array.copy()
    pixels[3, 4] += 2
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(file)
    with pytest.raises(ValueError, match="1 voxels read back deviate by up to"):
        validate(export, image=image)
    assert validate(export, image=image, exempt=1).beyond_tolerance == 1


def test_swapped_pixels_of_two_slices_are_refused(export, image):
    one, two = (pydicom.dcmread(export / "image" / name) for name in ("0001.dcm", "0002.dcm"))
    one.PixelData, two.PixelData = two.PixelData, one.PixelData
    one.save_as(one.filename)
    two.save_as(two.filename)
    with pytest.raises(ValueError, match="deviate"):
        validate(export, image=image)


def test_a_segmentation_of_other_images_is_refused(export):
    (export / "image" / "0005.dcm").unlink()
    with pytest.raises(ValueError, match="not in the export"):
        validate(export)


def test_a_segmentation_frame_in_the_wrong_place_is_refused(export):
    file = export / "seg" / "0001.dcm"
    dataset = pydicom.dcmread(file)
    place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(value) + 1 for value in place.ImagePositionPatient]
    dataset.save_as(file)
    with pytest.raises(GeometryError, match="frame 1 of the segmentation lies"):
        validate(export)


def test_two_objects_with_one_uid_are_refused(export):
    copied = (export / "image" / "0001.dcm").read_bytes()
    (export / "image" / "0009.dcm").write_bytes(copied)
    with pytest.raises(ValueError, match="used more than once"):
        validate(export)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no DICOM files"):
        validate(tmp_path)
