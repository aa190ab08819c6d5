"""The segmentation read back: voxels, place, codes, references, marks."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import (
    DERIVATION,
    JOB,
    SHAPE,
    hounsfield,
    oblique_image,
    reference_headers,
    write_made,
)

from medsynth.dicom import LesionMask, write_segmentation, write_series
from medsynth.dicom.lesion_codes import property_type
from medsynth.domains import get
from medsynth.errors import GeometryError


@pytest.fixture
def files(tmp_path, image):
    return write_made(tmp_path, image, headers=reference_headers(image)).files


def _lesion(image, corner, *, label="Nodule", kind="spiculated"):
    voxels = np.zeros(SHAPE, np.uint8)
    k, j, i = corner
    voxels[k : k + 2, j : j + 3, i : i + 4] = 1
    mask = sitk.GetImageFromArray(voxels)
    mask.CopyInformation(image)
    return LesionMask(mask, label, kind)


@pytest.mark.slow
def test_highdicom_reads_the_same_voxels_in_the_same_place(tmp_path, image, files):
    lesions = [_lesion(image, (1, 2, 3)), _lesion(image, (2, 3, 4), label="Second", kind="solid")]
    path = write_segmentation(lesions, tmp_path / "seg", files=files, job=JOB)
    seg = hd.seg.segread(path)
    assert seg.SegmentationType == "BINARY"
    for number, lesion in enumerate(lesions, start=1):
        volume = seg.get_volume(segment_numbers=[number], combine_segments=True)
        for index in np.argwhere(volume.array):
            point = volume.affine @ [*index, 1]
            k_j_i = lesion.mask.TransformPhysicalPointToIndex(point[:3].tolist())[::-1]
            assert sitk.GetArrayViewFromImage(lesion.mask)[k_j_i] == 1
            near = lesion.mask.TransformIndexToPhysicalPoint(k_j_i[::-1])
            np.testing.assert_allclose(point[:3], near, atol=1e-6)
        assert np.count_nonzero(volume.array) == 24


def test_segments_are_coded_and_tracked(tmp_path, image, files):
    lesions = [_lesion(image, (1, 2, 3)), _lesion(image, (2, 3, 4), label="Pair", kind="mass")]
    path = write_segmentation(lesions, tmp_path / "seg", files=files, job=JOB)
    one, two = pydicom.dcmread(path).SegmentSequence
    assert one.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert one.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
    assert two.SegmentedPropertyTypeCodeSequence[0].CodeValue == "4147007"
    assert (one.SegmentLabel, two.SegmentLabel) == ("Nodule", "Pair")
    assert one.TrackingUID != two.TrackingUID
    assert one.SegmentAlgorithmType == "AUTOMATIC"


def test_it_is_marked_and_belongs_to_the_exported_study(tmp_path, image, files):
    path = write_segmentation([_lesion(image, (1, 2, 3))], tmp_path / "seg", files=files, job=JOB)
    seg, exported = pydicom.dcmread(path), [pydicom.dcmread(file) for file in files]
    assert seg.SyntheticData == "YES"
    assert seg.SeriesDescription == "SYNTHETIC Lung CT, nodule lesions"
    assert seg.ContentLabel == "SYNTHETIC"
    equipment = [seg.Manufacturer, seg.ManufacturerModelName, seg.DeviceSerialNumber]
    assert all([*equipment, seg.SoftwareVersions])
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[keyword].value == exported[0][keyword].value
    assert seg.SeriesNumber != exported[0].SeriesNumber
    named = {each.ReferencedSOPInstanceUID for each in seg.SourceImageSequence}
    assert named == {each.SOPInstanceUID for each in exported}


def test_in_a_kept_study_it_has_the_reference_s_patient(tmp_path, image):
    info = write_made(tmp_path, image, headers=reference_headers(image), patient="keep")
    lesions = [_lesion(image, (1, 2, 3), label="Größe")]
    seg = pydicom.dcmread(write_segmentation(lesions, tmp_path / "seg", files=info.files, job=JOB))
    assert (seg.PatientName, seg.PatientID, seg.EthnicGroup) == ("Muster^Erika", "PID-4711", "01")
    assert seg.SpecificCharacterSet == "ISO_IR 100"
    assert seg.SegmentSequence[0].SegmentLabel == "Gro?e"


def test_the_same_job_gives_the_same_bytes(tmp_path, image, files):
    lesions = [_lesion(image, (1, 2, 3))]
    one = write_segmentation(lesions, tmp_path / "a", files=files, job=JOB)
    two = write_segmentation(lesions, tmp_path / "b", files=files, job=JOB)
    assert one.read_bytes() == two.read_bytes()


def test_a_radiograph_says_how_it_lies(tmp_path):
    image = oblique_image(hounsfield((1, 12, 16)) + 1000)
    headers = reference_headers(
        image,
        Modality="CR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
        PatientOrientation=["L", "F"],
        RescaleIntercept="0",
    )
    info = write_series(
        image,
        tmp_path / "image",
        preset=get("lung_ct"),
        job=JOB,
        derivation=DERIVATION,
        headers=headers,
    )
    mask = sitk.GetImageFromArray(np.pad(np.ones((1, 3, 3), np.uint8), ((0, 0), (2, 7), (2, 11))))
    path = write_segmentation(
        [LesionMask(mask, "a", "solid")], tmp_path / "seg", files=info.files, job=JOB
    )
    assert list(pydicom.dcmread(path).PatientOrientation) == ["L", "F"]


@pytest.mark.parametrize(
    ("kind", "modality", "code"),
    [
        ("part_solid", "CT", "27925004"),
        ("spiculated", "MG", "4147007"),
        ("microcalcifications", "MG", "129769006"),
        ("calcification", "CT", "18115005"),
        ("annotated", "CT", "52988006"),
    ],
)
def test_kinds_have_their_codes(kind, modality, code):
    assert property_type(kind, modality).value == code


def test_every_kind_of_the_presets_is_known():
    assert {property_type(kind, "CT").meaning for kind in get("lung_ct").lesion_kinds} == {"Nodule"}


def test_masks_that_do_not_belong_are_refused(tmp_path, image, files):
    empty = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(image)
    elsewhere = _lesion(image, (1, 2, 3))
    elsewhere.mask.SetOrigin((0, 0, 0))
    smaller = LesionMask(elsewhere.mask[:, :, :4], "Small", "solid")
    for lesions, error, message in (
        ([], ValueError, "no lesion mask"),
        ([LesionMask(empty, "Nothing", "solid")], ValueError, "'Nothing' is empty"),
        ([elsewhere], GeometryError, "lies elsewhere"),
        ([smaller], GeometryError, "voxels"),
    ):
        with pytest.raises(error, match=message):
            write_segmentation(lesions, tmp_path / "seg", files=files, job=JOB)
    assert not (tmp_path / "seg").exists()
