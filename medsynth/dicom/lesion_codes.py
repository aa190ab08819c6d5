"""What a segment shows, in SNOMED CT: the property type of each kind of lesion."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medsynth.domains.lesion_kinds import KINDS

CATEGORY = codes.SCT.MorphologicallyAbnormalStructure  # 49755003, CID 7150

NODULE = codes.SCT.Nodule  # 27925004, CID 7159
MASS = codes.SCT.Mass  # 4147007, CID 7159
CALCIFICATION = Code("18115005", "SCT", "Pathologic calcification")
CALCIFICATION_CLUSTER = codes.SCT.CalcificationCluster  # 129769006
HEMORRHAGE = Code("50960005", "SCT", "Hemorrhage")
LESION = codes.SCT.Lesion  # 52988006, CID 7159

# What labels are called besides the kinds of lesion.
WORDS = {
    **dict.fromkeys(("mass", "round", "oval", "lobulated", "irregular"), MASS),
    **dict.fromkeys(("calcification", "calcifications"), CALCIFICATION),
    "calcification_cluster": CALCIFICATION_CLUSTER,
}


def property_type(kind: str, modality: str) -> Code:
    """The coded type of a lesion of `kind`; in mammography what is no calcification is a mass.

    A kind that is not known here (a lesion taken from an annotated study) is a lesion.
    """
    code = Code(*KINDS[kind].code) if kind in KINDS else WORDS.get(kind, LESION)
    return MASS if modality == "MG" and code == NODULE else code


# Value, scheme and meaning of a code.
Triplet = tuple[str, str, str]

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")  # CID 7150
# What people call labels, and the structure that is meant (CID 7166 and others).
STRUCTURES = {
    "lung": Code("39607008", "SCT", "Lung"),
    "left lung": Code("44029006", "SCT", "Left lung"),
    "right lung": Code("3341006", "SCT", "Right lung"),
    "heart": Code("80891009", "SCT", "Heart"),
    "aorta": Code("15825003", "SCT", "Aorta"),
    "liver": Code("10200004", "SCT", "Liver"),
    "brain": Code("12738006", "SCT", "Brain"),
    "breast": Code("76752008", "SCT", "Breast"),
}
# Words for findings beside the kinds of lesions.
FINDINGS = dict.fromkeys(("hemorrhage", "haemorrhage", "bleeding"), HEMORRHAGE) | {
    "tumor": MASS,
    "tumour": MASS,
}


def label_codes(
    name: str, coded: tuple[Triplet | None, Triplet | None], modality: str
) -> tuple[Code, Code]:
    """Category and type of a label that the reference already had.

    As its file says; else by its name: an organ of the table, a kind of lesion, or any lesion.
    """
    category, kind = (Code(*each) if each else None for each in coded)
    words = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    words = words.rstrip("0123456789 ")
    if kind is None and words in STRUCTURES:
        return category or ANATOMY, STRUCTURES[words]
    if kind is None:
        kind = FINDINGS.get(words) or property_type(words.replace(" ", "_"), modality)
    return category or CATEGORY, kind
