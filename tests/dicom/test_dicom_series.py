"""What is in the written slices, and what must not be: read back with pydicom and SimpleITK."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import DERIVATION, JOB, hounsfield, oblique_image, reference_headers, write_made

from medsynth.dicom import Projection
from medsynth.dicom.provenance import COMMENT
from medsynth.domains import IntensityMap, get

LUNG = get("lung_ct")
GRAY = IntensityMap((0, 4095), (-1, 1))
ALWAYS_DROPPED = (
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "PerformedProcedureStepStartDate",
    "IrradiationEventUID",
    "CTDIvol",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "ProtocolName",
    "OperatorsName",
    "InstitutionName",
    "StationName",
)


def _read(info):
    return [pydicom.dcmread(file) for file in info.files]


def test_simpleitk_reads_the_same_grid_and_values(tmp_path, image, headers):
    info = write_made(tmp_path, image, headers=headers)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "image")))
    back = reader.Execute()
    assert [file.name for file in info.files] == [f"000{k}.dcm" for k in range(1, 6)]
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image).astype(int)
    )
    np.testing.assert_allclose(back.GetOrigin(), image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(back.GetSpacing(), image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(back.GetDirection(), image.GetDirection(), atol=1e-6)


def test_every_slice_carries_the_marks(tmp_path, image, headers):
    for k, dataset in enumerate(_read(write_made(tmp_path, image, headers=headers))):
        assert dataset.SyntheticData == "YES"
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert dataset.SeriesDescription == "SYNTHETIC Lung CT, nodule"
        assert dataset.ImageComments == COMMENT
        assert dataset.ImageComments.startswith("SYNTHETIC")
        assert dataset.DerivationDescription == DERIVATION
        assert dataset.DerivationCodeSequence[0].CodingSchemeDesignator == "DCM"
        assert dataset.SeriesNumber == 9007
        assert dataset.InstanceNumber == k + 1
        ours, scanner = dataset.ContributingEquipmentSequence
        assert ours.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
        assert ours.Manufacturer == dataset.Manufacturer == "MedSynthSlicer project"
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("SCANCORP", "Scan 40")


def test_acquisition_is_copied_and_the_rest_is_not(tmp_path, image, headers):
    for dataset in _read(write_made(tmp_path, image, headers=headers)):
        assert (dataset.KVP, dataset.ConvolutionKernel, dataset.XRayTubeCurrent) == (
            120,
            "B41f",
            284,
        )
        assert not [keyword for keyword in ALWAYS_DROPPED if keyword in dataset]
        assert not [each for each in dataset.iterall() if each.tag.is_private]
        assert not [each for each in dataset if each.tag.group == 0x6000]
        assert dataset.ContrastBolusAgent == ""
        assert dataset.ContrastBolusRoute == "IV"


def test_nothing_identifying_is_in_the_bytes_of_a_synthetic_patient(tmp_path, image, headers):
    # No bare digits of a few places: those of a UID would hold them by chance.
    secrets = ["Muster", "PID-4711", "19620131", "ACC12345", "S77", "Arzt", "Nirgendwo", "CT0815"]
    secrets += ["SN-57204", "Mueller", "20190102", "Ultravist", "064Y"]
    for header in headers:
        secrets += [header.SOPInstanceUID, header.StudyInstanceUID, header.SeriesInstanceUID]
        secrets += [header.FrameOfReferenceUID, header.IrradiationEventUID]
    for file in write_made(tmp_path, image, headers=headers).files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]


def test_a_synthetic_patient_says_so_and_has_its_own_study(tmp_path, image, headers):
    datasets = _read(write_made(tmp_path, image, headers=headers))
    first = datasets[0]
    assert str(first.PatientName).startswith("SYNTHETIC^")
    assert first.PatientID == f"SYNTHETIC-{JOB.short_id}"
    assert (first.PatientBirthDate, first.AccessionNumber) == ("", "")
    assert first.ReferringPhysicianName == ""
    assert first.PatientIdentityRemoved == "YES"
    assert first.DeidentificationMethod
    codes = [item.CodeValue for item in first.DeidentificationMethodCodeSequence]
    assert codes == ["113100"]
    assert {each.StudyInstanceUID for each in datasets} == {
        JOB.remapped(headers[0].StudyInstanceUID)
    }
    assert {each.FrameOfReferenceUID for each in datasets} == {
        JOB.remapped(headers[0].FrameOfReferenceUID)
    }


def test_keep_leaves_patient_and_study_as_they_are_and_warns(tmp_path, image, headers):
    info = write_made(tmp_path, image, headers=headers, patient="keep")
    assert "real patient" in info.warnings[0]
    kept = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyID"]
    kept += ["EthnicGroup", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"]
    kept += ["StudyInstanceUID", "FrameOfReferenceUID", "ReferringPhysicianName"]
    for dataset, header in zip(_read(info), headers, strict=True):
        assert {key: dataset[key].value for key in kept} == {key: header[key].value for key in kept}
        assert dataset.SeriesInstanceUID != header.SeriesInstanceUID
        assert dataset.SOPInstanceUID != header.SOPInstanceUID
        assert "PatientIdentityRemoved" not in dataset
        assert dataset.SyntheticData == "YES"


def test_keep_completes_what_the_standard_requires_and_needs_a_study(tmp_path, image, headers):
    for header in headers:
        del header.PatientBirthDate, header.AccessionNumber
    dataset = _read(write_made(tmp_path / "a", image, headers=headers, patient="keep"))[0]
    assert (dataset.PatientBirthDate, dataset.AccessionNumber) == ("", "")
    for header in headers:
        del header.StudyInstanceUID
    with pytest.raises(ValueError, match="StudyInstanceUID"):
        write_made(tmp_path / "b", image, headers=headers, patient="keep")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("patient", ["synthetic", "keep"])
def test_the_source_is_the_one_slice_in_the_same_place(tmp_path, image, headers, patient):
    datasets = _read(write_made(tmp_path, image, headers=headers, patient=patient))
    replaced = (lambda uid: uid) if patient == "keep" else JOB.remapped
    for dataset, header in zip(datasets, headers, strict=True):
        (source,) = dataset.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == replaced(header.SOPInstanceUID)
        purpose = source.PurposeOfReferenceCodeSequence[0]
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("121322", "DCM")
        (series,) = dataset.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == replaced(header.SeriesInstanceUID)
        (instance,) = series.ReferencedInstanceSequence
        assert instance.ReferencedSOPInstanceUID == source.ReferencedSOPInstanceUID


def test_frames_of_one_file_are_named_by_number(tmp_path, image):
    headers = reference_headers(image, SOPInstanceUID="1.2.3")
    for k, header in enumerate(headers):
        header.InstanceNumber = k + 1
    datasets = _read(write_made(tmp_path, image, headers=headers))
    frames = [each.SourceImageSequence[0].ReferencedFrameNumber for each in datasets]
    assert frames == [1, 2, 3, 4, 5]


def test_each_slice_keeps_its_own_rescale(tmp_path, image, headers):
    for k, dataset in enumerate(_read(write_made(tmp_path, image, headers=headers))):
        assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (1, -1024 + k)
        assert dataset.RescaleType == "HU"
        assert (dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation) == (12, 11, 0)


def test_the_slice_location_is_the_distance_along_the_normal(tmp_path, image):
    normal = np.reshape(image.GetDirection(), (3, 3))[:, 2]
    for k, dataset in enumerate(_read(write_made(tmp_path, image))):
        center = image.TransformIndexToPhysicalPoint((7, 3, k))
        assert float(dataset.SliceLocation) == pytest.approx(np.dot(normal, center))


def test_a_mirrored_radiograph_is_clipped_rather_than_widened(tmp_path):
    values = hounsfield((1, 12, 16)) * 0 + 1000
    values[0, 0, :2] = 1023, 1024
    image = oblique_image(values)
    headers = reference_headers(
        image,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
        Modality="CR",
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=10,
        RescaleIntercept="0",
    )
    info = write_made(tmp_path, image, headers=headers)
    (dataset,) = _read(info)
    assert (dataset.BitsStored, dataset.PhotometricInterpretation) == (10, "MONOCHROME1")
    assert dataset.pixel_array[0, :3].tolist() == [0, 0, 23]
    assert info.clipped == 1


def test_of_coded_sequences_only_the_codes_are_copied(tmp_path, image, headers):
    for header in headers:
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "51185008", "SCT", "Chest"
        item.InstitutionName = "Klinikum Nirgendwo"
        item.private_block(0x0019, "SCANCORP", create=True).add_new(1, "LO", "Muster")
        header.AnatomicRegionSequence = [item]
    (region,) = _read(write_made(tmp_path, image, headers=headers))[0].AnatomicRegionSequence
    keywords = {each.keyword for each in region}
    assert keywords == {"CodeValue", "CodingSchemeDesignator", "CodeMeaning"}


def test_windows_have_as_many_explanations(tmp_path, image, headers):
    dataset = _read(write_made(tmp_path, image, headers=headers))[0]
    assert list(dataset.WindowCenter) == [-600, 40, 400]
    assert list(dataset.WindowWidth) == [1500, 400, 1800]
    assert list(dataset.WindowCenterWidthExplanation) == ["lung", "soft tissue", "bone"]


def test_decimal_strings_have_at_most_16_characters(tmp_path, image, headers):
    for file in write_made(tmp_path, image, headers=headers).files:
        for element in pydicom.dcmread(file).iterall():
            if element.VR == "DS":
                values = [element.value] if element.VM == 1 else element.value or []
                assert all(len(str(value)) <= 16 for value in values), element


def test_padding_survives(tmp_path, image):
    headers = reference_headers(image, PixelRepresentation=1, BitsStored=16, HighBit=15)
    padding = np.zeros((5, 12, 16), bool)
    padding[:, :2] = True
    for header in headers:
        header.add_new("PixelPaddingValue", "SS", -2000)
    datasets = _read(write_made(tmp_path, image, headers=headers, padding=padding))
    for dataset in datasets:
        assert dataset.PixelPaddingValue == -2000
        np.testing.assert_array_equal(dataset.pixel_array == -2000, padding[0])


def test_padding_beyond_the_stored_bits_becomes_dark_not_bright(tmp_path, image):
    headers = reference_headers(image)
    padding = np.zeros((5, 12, 16), bool)
    padding[:, :2] = True
    for header in headers:
        header.add_new("PixelPaddingValue", "US", 63536)
    for dataset in _read(write_made(tmp_path, image, headers=headers, padding=padding)):
        assert (dataset.PixelRepresentation, dataset.BitsStored) == (1, 16)
        assert dataset["PixelPaddingValue"].VR == "SS"
        assert dataset.PixelPaddingValue == -2000
        np.testing.assert_array_equal(dataset.pixel_array == -2000, padding[0])


def test_what_does_not_fit_widens_the_type_and_only_then_is_clipped(tmp_path, headers):
    values = hounsfield()
    values[0, 0, 0] = 5000
    info = write_made(tmp_path / "a", oblique_image(values), headers=headers)
    assert (_read(info)[0].BitsStored, info.clipped, info.warnings) == (16, 0, ())
    values[0, 0, :3] = 80000
    info = write_made(tmp_path / "b", oblique_image(values), headers=headers)
    assert info.clipped == 3
    assert "3 voxels did not fit" in info.warnings[0]


@pytest.mark.parametrize("how", ["header", "transfer syntax", "job"])
def test_lossy_compression_persists(tmp_path, image, how):
    headers, job = reference_headers(image), JOB
    for header in headers:
        if how == "header":
            header.LossyImageCompression, header.LossyImageCompressionRatio = "01", "12.5"
        if how == "transfer syntax":
            header.file_meta = pydicom.dataset.FileMetaDataset()
            header.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000
    if how == "job":
        headers, job = (), replace(JOB, lossy_source=True)
    datasets = _read(write_made(tmp_path, image, headers=headers, job=job))
    assert {each.LossyImageCompression for each in datasets} == {"01"}


def test_without_headers_the_class_of_the_preset_is_complete(tmp_path, image):
    dataset = _read(write_made(tmp_path, image))[0]
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert dataset.BodyPartExamined == "CHEST"
    assert "SourceImageSequence" not in dataset
    assert "ReferencedSeriesSequence" not in dataset
    assert len(dataset.ContributingEquipmentSequence) == 1


def test_a_mammogram_without_headers_needs_view_and_side(tmp_path):
    preset = replace(LUNG, modality="MG", intensity=GRAY)
    image = oblique_image(hounsfield((1, 12, 16)) + 1000)
    with pytest.raises(ValueError, match="needs a view"):
        write_made(tmp_path, image, preset=preset)
    assert list(tmp_path.iterdir()) == []
    info = write_made(tmp_path, image, preset=preset, projection=Projection("MLO", "R"))
    (dataset,) = _read(info)
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
    assert dataset.ViewCodeSequence[0].CodeValue == "399368009"
    assert (dataset.ImageLaterality, list(dataset.PatientOrientation)) == ("R", ["P", "FL"])
    assert list(dataset.ImagerPixelSpacing) == [1.1, 0.7]


@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_an_unknown_pixel_spacing_is_said_not_made_up(tmp_path, modality):
    preset = replace(LUNG, modality=modality, intensity=GRAY)
    image = oblique_image(hounsfield((1, 12, 16)) + 1000, spacing=(1, 1, 1))
    info = write_made(tmp_path, image, preset=preset)
    (dataset,) = _read(info)
    if modality == "DX":
        assert "pixel spacing is not known" in info.warnings[0]
    else:
        assert (dataset.get("ImagerPixelSpacing"), info.warnings) == (None, ())


def test_a_secondary_capture_becomes_the_class_of_its_modality(tmp_path, image):
    headers = reference_headers(image, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    dataset = _read(write_made(tmp_path, image, headers=headers))[0]
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert dataset.SourceImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"


def test_invalid_values_of_the_reference_are_left_out_and_said(tmp_path, image, headers):
    for header in headers:
        header.add_new("ConvolutionKernel", "SH", "a kernel name beyond sixteen characters")
    info = write_made(tmp_path, image, headers=headers)
    assert "ConvolutionKernel" not in _read(info)[0]
    assert info.warnings == (
        "ConvolutionKernel of the reference is not valid, or names somebody, and was left out",
    )


def test_a_paired_body_part_without_a_side_gives_way_to_the_preset(tmp_path, image):
    headers = reference_headers(image, BodyPartExamined="LUNG")
    info = write_made(tmp_path / "a", image, headers=headers)
    assert _read(info)[0].BodyPartExamined == "CHEST"
    assert "BodyPartExamined of the reference" in info.warnings[0]
    headers = reference_headers(image, BodyPartExamined="LUNG", Laterality="L")
    dataset = _read(write_made(tmp_path / "b", image, headers=headers))[0]
    assert (dataset.BodyPartExamined, dataset.Laterality) == ("LUNG", "L")


def test_a_long_derivation_is_shortened_and_said(tmp_path, image):
    info = write_made(tmp_path, image, derivation="word " * 400)
    assert len(_read(info)[0].DerivationDescription) <= 1024
    assert "shortened" in info.warnings[0]


def test_text_survives_in_utf8_and_is_plain_in_a_kept_character_set(tmp_path, image, headers):
    job, derivation = replace(JOB, title="Grün\\5"), "Rundherd größer → 14 mm"
    new = _read(write_made(tmp_path / "a", image, headers=headers, job=job, derivation=derivation))[
        0
    ]
    assert (new.SeriesDescription, new.DerivationDescription) == ("SYNTHETIC Grün/5", derivation)
    options = {"headers": headers, "job": job, "derivation": derivation, "patient": "keep"}
    kept = _read(write_made(tmp_path / "b", image, **options))[0]
    assert kept.SpecificCharacterSet == "ISO_IR 100"
    assert kept.DerivationDescription == "Rundherd gro?er ? 14 mm"


def test_the_same_job_gives_the_same_bytes(tmp_path, image, headers):
    first = write_made(tmp_path / "a", image, headers=headers)
    second = write_made(tmp_path / "b", image, headers=headers)
    for one, two in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == two.read_bytes()
