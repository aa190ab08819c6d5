"""What is said of the patient's identity: no option of PS3.15 that was not applied."""

import numpy as np
import pydicom
import pytest
from made_dicom import hounsfield, oblique_image, reference_headers, write_made
from pydicom.dataset import Dataset

from medsynth.dicom.deidentification import identifying_words, names_someone
from medsynth.dicom.provenance import code
from medsynth.domains import get
from medsynth.request import parse


@pytest.fixture
def image():
    return oblique_image(hounsfield())


def written(folder, image, **options):
    info = write_made(folder, image, **options)
    return pydicom.dcmread(info.files[0]), info.warnings


def codes(dataset):
    items = dataset.get("DeidentificationMethodCodeSequence", [])
    return [item.CodeValue for item in items]


def test_burned_in_text_is_refused_unless_it_is_named(tmp_path, image):
    headers = reference_headers(image, BurnedInAnnotation="YES")
    with pytest.raises(ValueError, match=r"anatomy\.burned_in_text: true"):
        write_made(tmp_path / "a", image, headers=headers)
    dataset, warnings = written(tmp_path / "b", image, headers=headers, burned_in_text=True)
    assert (dataset.BurnedInAnnotation, dataset.PatientIdentityRemoved) == ("YES", "NO")
    assert codes(dataset) == []
    assert any("burned into its pixels" in warning for warning in warnings)
    # One slice of many is enough.
    headers = reference_headers(image)
    headers[3].BurnedInAnnotation = "YES"
    with pytest.raises(ValueError, match="Burned In Annotation YES"):
        write_made(tmp_path / "c", image, headers=headers)


def test_in_a_kept_study_burned_in_text_is_no_news(tmp_path, image):
    headers = reference_headers(image, BurnedInAnnotation="YES")
    dataset, _ = written(tmp_path, image, headers=headers, patient="keep")
    assert dataset.BurnedInAnnotation == "YES"
    assert "PatientIdentityRemoved" not in dataset


@pytest.mark.parametrize(
    ("changes", "options", "removed", "features", "declared"),
    [
        ({"BodyPartExamined": "HEAD"}, {}, "NO", "YES", ["113100"]),
        ({"BodyPartExamined": "HEAD"}, {"defaced": True}, "YES", "NO", ["113100", "113102"]),
        (
            {"BodyPartExamined": "SKULL", "RecognizableVisualFeatures": "NO"},
            *({}, "YES", "NO", ["113100", "113102"]),
        ),
        ({}, {"preset": get("brain_ct")}, "NO", "YES", ["113100"]),
        ({}, {}, "YES", None, ["113100"]),
    ],
)
def test_a_head_is_only_said_to_be_nobody_if_it_has_no_face(
    tmp_path, image, changes, options, removed, features, declared
):
    headers = reference_headers(image, **changes)
    dataset, warnings = written(tmp_path, image, headers=headers, **options)
    assert dataset.PatientIdentityRemoved == removed
    assert dataset.get("RecognizableVisualFeatures") == features
    assert codes(dataset) == declared
    assert any("anatomy.defaced" in warning for warning in warnings) == (removed == "NO")


def test_a_head_without_a_header_has_a_face_and_a_phantom_or_a_single_slice_none(tmp_path):
    gray = np.abs(hounsfield()) % 255
    brain = {"preset": get("brain_mri")}
    volume = oblique_image(gray)
    assert (
        written(tmp_path / "a", volume, from_patient=True, **brain)[0].PatientIdentityRemoved
        == "NO"
    )
    assert written(tmp_path / "b", volume, **brain)[0].PatientIdentityRemoved == "YES"
    slice_only = oblique_image(gray[:1])
    assert (
        written(tmp_path / "c", slice_only, from_patient=True, **brain)[0].PatientIdentityRemoved
        == "YES"
    )


def test_what_was_done_to_the_reference_is_declared_on(tmp_path, image):
    done = [code("113101", "DCM", "Clean Pixel Data Option"), code("113105", "DCM", "other")]
    headers = reference_headers(image, DeidentificationMethodCodeSequence=done)
    assert codes(written(tmp_path, image, headers=headers)[0]) == ["113100", "113101"]


def test_free_text_that_names_somebody_is_left_out(tmp_path, image):
    headers = reference_headers(
        image, ConvolutionKernel="B41 Muster", ManufacturerModelName="Scan of Klinikum Nirgendwo"
    )
    region = code("816094009", "SCT", "chest of ERIKA")
    for header in headers:
        header.AnatomicRegionSequence = [region]
    dataset, warnings = written(tmp_path / "a", image, headers=headers)
    content = (tmp_path / "a" / "image" / "0001.dcm").read_bytes().lower()
    assert not [word for word in (b"muster", b"nirgendwo", b"erika") if word in content]
    assert "ConvolutionKernel" not in dataset
    assert any(warning.startswith("ConvolutionKernel") for warning in warnings)
    kept, _ = written(tmp_path / "b", image, headers=headers, patient="keep")
    assert kept.ConvolutionKernel == "B41 Muster"


def test_words_are_found_in_nested_and_private_names_and_as_whole_words():
    header = Dataset()
    header.PatientName = "Long^Ann-Marie"
    nested = Dataset()
    nested.PersonName = "Tief^Vera"
    header.PersonIdentificationCodeSequence = [nested]
    header.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "PN", "Privat^Paul")
    words = identifying_words(header)
    assert {"long", "ann", "marie", "tief", "vera", "privat", "paul"} <= words
    assert names_someone("axial LONG", words)
    assert not names_someone("longitudinal, prolonged", words)


def test_a_mammogram_s_view_gets_its_modifier_sequence(tmp_path):
    image = oblique_image(np.abs(hounsfield((1, 12, 16))))
    view = code("399368009", "SCT", "medio-lateral oblique")
    changes = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2", "Modality": "MG", "BitsStored": 12}
    changes |= {"ImageLaterality": "L", "PatientOrientation": ["A", "FR"]}
    headers = reference_headers(image, ViewCodeSequence=[view], **changes)
    for header in headers:
        header.RescaleIntercept = "0"
        del header.BodyPartExamined
    dataset, _ = written(tmp_path, image, headers=headers, preset=get("mammography"))
    assert dataset.ViewCodeSequence[0].CodeValue == "399368009"
    assert list(dataset.ViewCodeSequence[0].ViewModifierCodeSequence) == []


@pytest.mark.parametrize(
    ("preset", "anatomy", "message"),
    [
        (
            "lung_ct",
            {"phantom": {}, "burned_in_text": True},
            "burned_in_text: a phantom shows nobody",
        ),
        ("lung_ct", {"image": ".", "defaced": True}, "defaced: acts on heads, lung_ct shows none"),
        ("brain_ct", {"image": ".", "defaced": 1}, "defaced: expected true or false, got 1"),
    ],
)
def test_keys_that_cannot_act_are_refused(tmp_path, preset, anatomy, message):
    with pytest.raises(ValueError, match=message):
        parse({"preset": preset, "anatomy": anatomy}, tmp_path)
