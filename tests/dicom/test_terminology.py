"""Segments in 3D Slicer are coded as in the DICOM SEG of the same result."""

import pytest

from medsynth.dicom.lesion_codes import CATEGORY, property_type
from medsynth.domains.lesion_kinds import KINDS
from medsynth.scene import terminology


@pytest.mark.parametrize("modality", ["CT", "MG", "DX", "MR"])
@pytest.mark.parametrize("kind", [*KINDS, "a lesion of an annotated study"])
def test_the_code_of_a_segment_is_that_of_the_dicom_seg(kind, modality):
    code = property_type(kind, modality)
    assert terminology.code_of(kind, modality)[:2] == (code.value, code.scheme_designator)


def test_a_terminology_entry_holds_no_delimiter_of_a_meaning():
    entry = terminology.entry(("1", "99LOCAL", "a~b^c"))
    assert entry.split("~")[2] == "99LOCAL^1^a b c"
    assert entry.split("~")[1].startswith(f"SCT^{CATEGORY.value}^")
