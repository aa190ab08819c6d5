"""`patient: keep` writes nothing that DICOM forbids, and says what it is before anything is made."""

import numpy as np
import pytest
from made_dicom import hounsfield, oblique_image, reference_headers, write_made
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns of what is set here


@pytest.fixture
def image():
    return oblique_image(hounsfield())


def other_id(**attributes):
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return Sequence([item])


@pytest.mark.parametrize(
    ("keyword", "value", "why"),
    [
        ("PatientName", "x" * 60_000, "60000 characters, expected at most 3 of 64"),
        ("PatientName", "a=b=c=d", "4 component groups"),
        ("PatientID", "x" * 65, "exceeds the maximum length of 64"),
        ("StudyInstanceUID", "1.2.not-a-uid", "Invalid value for VR UI"),
        ("StudyInstanceUID", "1." + "2" * 80, "maximum length of 64"),
        ("SeriesInstanceUID", "1..2", "Invalid value for VR UI"),
        ("SOPInstanceUID", "1.2.x", "Invalid value for VR UI"),
        ("FrameOfReferenceUID", "1.2.x", "Invalid value for VR UI"),
        ("StudyDate", "2019.01.02", "Invalid value for VR DA"),
        ("PatientSex", "female", "Invalid value for VR CS"),
        ("OtherPatientIDsSequence", other_id(PatientID="x" * 99), "maximum length of 64"),
    ],
)
def test_forbidden_values_are_refused(tmp_path, image, keyword, value, why):
    headers = reference_headers(image)
    setattr(headers[2], keyword, value)
    with pytest.raises(ValueError, match=why) as error:
        write_made(tmp_path, image, headers=headers, patient="keep")
    assert f"keep cannot keep {keyword} of the reference's slice 3" in str(error.value)
    assert len(str(error.value)) < 500
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_legal_values_are_kept(tmp_path, image):
    names = {
        "PatientName": "山田^太郎=" + "x" * 64,
        "PatientBirthDate": "",
        "PatientWeight": "70.5",
    }
    headers = reference_headers(image, SpecificCharacterSet="ISO_IR 192", **names)
    info = write_made(tmp_path, image, headers=headers, patient="keep")
    assert len(list((tmp_path / "image").iterdir())) == image.GetDepth()
    assert info is not None
    assert np.isfinite(float(headers[0].PatientWeight))
