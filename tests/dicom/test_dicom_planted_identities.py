"""Identities planted all over a reference: with a synthetic patient none is in any byte of the output."""

import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import DERIVATION, JOB, hounsfield, oblique_image, reference_headers
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from medsynth.dicom import LesionMask, write_segmentation, write_series
from medsynth.domains import get

pytestmark = pytest.mark.slow

# Attributes that say what was examined and how; a person's name in them is planted apart.
TECHNICAL = [
    "ConvolutionKernel",
    "FilterType",
    "ScanOptions",
    "Manufacturer",
    "ManufacturerModelName",
]
FREE = {"PN", "LO", "SH", "ST", "LT", "UT", "UC", "AE"}
COUNT = 170
# Free text of which there is a whitelisted attribute.
DESCRIBED = ("ContrastBolusRoute", "PositionReferenceIndicator", "DerivationDescription")


def plant(header):
    """Unique values: names, texts, dates, UIDs; nested, private, and in the file meta."""
    planted = []

    def secret(vr):
        number = len(planted)
        word = {
            "PN": f"Zz{number:03d}Secret^Quux{number:03d}",
            "DA": f"19{number // 28 % 70 + 10}{number % 12 + 1:02d}{number % 28 + 1:02d}",
            "UI": f"1.2.826.9999.1{number:03d}.7",
        }.get(vr, f"QZ{number:03d}WX")
        planted.append(word)
        return word

    for keyword in DESCRIBED:
        setattr(header, keyword, secret("LO"))
    kinds = ("PN", "LO", "SH", "ST", "LT", "UT", "UC", "AE", "DA", "UI")
    for tag, (vr, vm, _, retired, keyword) in sorted(DicomDictionary.items()):
        group = tag >> 16
        if (
            len(planted) >= COUNT - 40
            or vr not in kinds
            or vm != "1"
            or retired
            or keyword in header
        ):
            continue
        if group not in (0x8, 0x10, 0x12, 0x18, 0x20, 0x32, 0x38, 0x40) or keyword in KEPT:
            continue
        header.add_new(tag, vr, secret(vr))
    for vr in ("PN", "LO", "UI", "DA") * 5:
        item, inner = Dataset(), Dataset()
        inner.add_new(
            0x00100010 if vr == "PN" else 0x00081080, "PN" if vr == "PN" else "LO", secret(vr)
        )
        item.AnatomicRegionModifierSequence = [inner]
        header.setdefault(0x00400275, pydicom.DataElement(0x00400275, "SQ", [])).value.append(item)
    block = header.private_block(0x0029, "PLANTER", create=True)
    for offset in range(COUNT - len(planted)):
        vr = ("PN", "LO", "UI", "SH")[offset % 4]
        block.add_new(offset, vr, secret(vr))
    return planted


# Defined terms that steer the writer, or are described by what is not free text.
KEPT = {"SpecificCharacterSet", "SOPClassUID", "Modality", *TECHNICAL}


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_of_170_planted_identities_none_leaves(tmp_path, kind):
    image = oblique_image(hounsfield())
    headers = reference_headers(image)
    planted = plant(headers[0])
    for header in headers[1:]:
        plant(header)
    assert len(planted) == len(set(planted)) == COUNT
    # The patient's own name where technique is told, which is copied.
    person = planted[[i for i, word in enumerate(planted) if "^" in word][0]].split("^")[0]
    for header in headers:
        for keyword in TECHNICAL:
            if keyword != "ScanOptions":
                setattr(header, keyword, person)
    options = {"preset": get("lung_ct"), "job": JOB, "derivation": DERIVATION, "headers": headers}
    files = write_series(image, tmp_path / "image", **options).files
    mask = sitk.Cast(image > 900, sitk.sitkUInt8)
    lesions = [LesionMask(mask, "Nodule", "solid")]
    write_segmentation(lesions, tmp_path / "seg", files=files, job=JOB, existing=kind == "labels")
    content = b"".join(file.read_bytes() for file in tmp_path.rglob("*.dcm"))
    words = {part for word in planted for part in word.split("^")} | {person}
    assert len(words) > COUNT
    found = sorted(word for word in words if word.encode() in content)
    assert found == []
    # The search finds what is there: a kept study has the patient and the study.
    kept = write_series(image, tmp_path / "kept", patient="keep", **options).files
    content = kept[0].read_bytes()
    assert len([word for word in words if word.encode() in content]) > 10
