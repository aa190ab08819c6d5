"""What a segment shows, as Slicer's terminologies and DICOM SEG say it."""

from __future__ import annotations

from medsynth.domains import lesion_kinds

# Slicer's own list of categories and types; it takes codes that are not in it as well.
CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGIONS = "Anatomic codes - DICOM master list"
ABNORMAL = ("49755003", "SCT", "Morphologically Altered Structure")
LESION = ("52988006", "SCT", "Lesion")

Triplet = tuple[str, str, str]


def code_of(kind: str, modality: str) -> Triplet:
    """Value, scheme and meaning of a lesion of `kind`, as the result's DICOM SEG has them."""
    declared = lesion_kinds.KINDS
    code = declared[kind].code if kind in declared else LESION
    # As medsynth.dicom.lesion_codes: in mammography what is no calcification is a mass.
    return lesion_kinds.MASS if modality == "MG" and code == lesion_kinds.NODULE else code


def entry(code: Triplet) -> str:
    """A terminology entry of Slicer: context ~ category ~ type ~ modifier ~ regions ~ region ~ modifier."""

    def shown(triplet: Triplet) -> str:
        value, scheme, meaning = (part.replace("^", " ").replace("~", " ") for part in triplet)
        return f"{scheme}^{value}^{meaning}"

    parts = [CONTEXT, shown(ABNORMAL), shown(code), "^^", REGIONS, "^^", "^^"]
    return "~".join(parts)


def tag(segment, code: Triplet) -> None:
    """Say what a segment shows; the Data module and exports of Slicer read it."""
    segment.SetTag(segment.GetTerminologyEntryTagName(), entry(code))
