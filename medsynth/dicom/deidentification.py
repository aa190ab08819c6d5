"""What may still tell who the patient is once the attributes are clean: text and faces in the pixels.

PS3.15 annex E: the Basic Profile (113100) supposes that no text is burned into the pixels, and says
nothing of faces. Neither is removed here, so neither is claimed, except where the reference says
that it was done before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from medsynth.dicom.provenance import code
from medsynth.domains import Preset

CLEAN_PIXELS, CLEAN_FEATURES = "113101", "113102"
# Table CID 7050: the profile, and what may have been done to the reference before.
MEANINGS = {
    "113100": "Basic Application Confidentiality Profile",
    CLEAN_PIXELS: "Clean Pixel Data Option",
    CLEAN_FEATURES: "Clean Recognizable Visual Features Option",
}
# Defined terms of BodyPartExamined (PS3.16 annex L) of volumes that may show a face.
HEADS = frozenset(
    (
        *("BRAIN", "EAR", "EYE", "FACE", "HEAD", "HEADNECK", "JAW", "MAXILLA", "MANDIBLE"),
        *("NOSE", "ORBIT", "PAROTID", "SINUS", "SKULL", "TMJ", "ZYGOMA"),
    )
)
BURNED_IN_WARNING = (
    "the reference has text burned into its pixels and the result may show it: Patient Identity "
    "Removed is NO"
)
FACE_WARNING = (
    "the slices of a head can be put together to a face: Patient Identity Removed is NO; deface the "
    "reference first and write anatomy.defaced: true"
)


@dataclass(frozen=True)
class PixelIdentity:
    """What the pixels may show, and which options of PS3.15 were applied to the reference before."""

    burned_in_text: bool = False
    face: bool = False
    done_before: tuple[str, ...] = ()

    @property
    def removed(self) -> bool:
        """Whether nothing in the pixels is known to tell who the patient is."""
        return not (self.burned_in_text or self.face)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell about it."""
        notes = {BURNED_IN_WARNING: self.burned_in_text, FACE_WARNING: self.face}
        return tuple(note for note, said in notes.items() if said)

    def declare(self, dataset: Dataset) -> None:
        """Write what was done about the patient's identity, and no more (PS3.3 C.7.1.1, C.7.6.1)."""
        dataset.PatientIdentityRemoved = "YES" if self.removed else "NO"
        dataset.DeidentificationMethod = "Synthetic image; only whitelisted attributes are kept"
        profile = () if self.burned_in_text else ("113100",)
        codes = [code(each, "DCM", MEANINGS[each]) for each in (*profile, *self.done_before)]
        if codes:
            dataset.DeidentificationMethodCodeSequence = codes

    def describe(self, dataset: Dataset) -> None:
        """Write what the pixels show (PS3.3 C.7.6.1)."""
        if self.burned_in_text:
            dataset.BurnedInAnnotation = "YES"
        if self.face:
            dataset.RecognizableVisualFeatures = "YES"
        elif CLEAN_FEATURES in self.done_before:
            dataset.RecognizableVisualFeatures = "NO"


def pixel_identity(
    headers: Sequence[Dataset],
    *,
    preset: Preset,
    slices: int,
    from_patient: bool,
    burned_in_text: bool = False,
    defaced: bool = False,
) -> PixelIdentity:
    """What an image from this reference may show.

    Args:
        slices: of the image; a face needs more than one.
        from_patient: False for a phantom.
        burned_in_text: whether the user says that the reference has text in its pixels.
        defaced: whether the user says that faces were removed from it.
    """
    if not from_patient:
        return PixelIdentity()
    said = {each.CodeValue for header in headers for each in _methods(header)}
    if defaced or any(h.get("RecognizableVisualFeatures") == "NO" for h in headers):
        said.add(CLEAN_FEATURES)
    part = headers[0].get("BodyPartExamined") if headers else None
    head = not preset.is_projection and HEADS & {part, preset.body_part}
    return PixelIdentity(
        burned_in_text=burned_in_text or has_burned_in_text(headers),
        face=bool(head) and slices > 1 and CLEAN_FEATURES not in said,
        done_before=tuple(each for each in (CLEAN_PIXELS, CLEAN_FEATURES) if each in said),
    )


def has_burned_in_text(headers: Sequence[Dataset]) -> bool:
    """Whether any header says so."""
    return any(header.get("BurnedInAnnotation") == "YES" for header in headers)


def check_burned_in(headers: Sequence[Dataset], *, patient: str, accepted: bool) -> None:
    """Refuse to give a synthetic patient pixels with text of a real one, unless that was accepted.

    Raises:
        ValueError: the reference says Burned In Annotation YES and nobody accepted it.
    """
    if patient == "synthetic" and has_burned_in_text(headers) and not accepted:
        raise ValueError(
            "anatomy.image: the reference says Burned In Annotation YES: its pixels hold text, "
            "such as the patient's name, that the result may show; clean the pixels, or, when "
            "that text may be seen, write anatomy.burned_in_text: true"
        )


def _methods(header: Dataset) -> list[Dataset]:
    items = header.get("DeidentificationMethodCodeSequence") or []
    return [item for item in items if item.get("CodingSchemeDesignator") == "DCM"]


# Attributes that name a person, a place or an examination; in free text they are let out of nothing.
IDENTIFIERS = (
    *("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID"),
    *(
        "InstitutionName",
        "StationName",
        "DeviceSerialNumber",
        "PatientBirthDate",
        "PatientBirthName",
    ),
    *("FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest"),
)
SHORTEST_WORD = 3


def identifying_words(header: Dataset) -> frozenset[str]:
    """Words of `header`, in lower case, that tell who was examined, by whom or where.

    Parts of every person's name, nested and private ones too, and whole identifiers.
    """
    words: set[str] = set()
    for element in header.iterall():
        if element.VR == "PN":
            for name in _values(element.value):
                words |= set(re.split(r"[\W_]+", name.lower()))
        elif element.keyword in IDENTIFIERS:
            words |= {value.lower().strip() for value in _values(element.value)}
    return frozenset(word for word in words if len(word) >= SHORTEST_WORD)


def names_someone(text: str, words: Iterable[str]) -> bool:
    """Whether one of the identifying `words` stands in `text` as a word of its own."""
    text = text.lower()
    return any(
        word in text and re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text)
        for word in words
    )


def _values(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    many = not isinstance(value, (str, bytes)) and hasattr(value, "append")
    return [str(each) for each in value] if many else [str(value)]
