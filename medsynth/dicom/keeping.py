"""What `patient: keep` would write as it is, held against the standard before it is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

# PS3.5 6.2, PN: at most three component groups (alphabetic, ideographic, phonetic) of 64 characters.
NAME_GROUPS, NAME_LENGTH = 3, 64
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def check_kept(headers: Iterable[Dataset], *, keywords: Iterable[str]) -> None:
    """Refuse patient and study attributes, and UIDs, that DICOM forbids: they would be written as is.

    Args:
        headers: of the reference's slices.
        keywords: the attributes that are kept, besides the UIDs.

    Raises:
        ValueError: names the attribute, its value, what is wrong with it and which slice it is.
    """
    keywords = dict.fromkeys((*keywords, *UIDS))
    for number, header in enumerate(headers, start=1):
        for keyword in keywords:
            try:
                if keyword in header:
                    _check(header[keyword])
            except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
                why = " ".join(str(error).split(" Please see ")[0].split())[:200]
                raise ValueError(
                    f"patient: keep cannot keep {keyword} of the reference's slice {number}, which "
                    f"DICOM forbids ({why}); mend it in the reference, or use patient: synthetic"
                ) from None


def _check(element: DataElement) -> None:
    for inner, value in _values(element):
        if inner.VR == "PN":
            groups = str(value).split("=")
            longest = max(map(len, groups))
            if len(groups) > NAME_GROUPS or longest > NAME_LENGTH:
                raise ValueError(
                    f"a name of {len(groups)} component groups, the longest of {longest} characters, "
                    f"expected at most {NAME_GROUPS} of {NAME_LENGTH}: {str(value)[:40]}"
                )
        words = str(value) if inner.VR in ("DS", "IS", "PN") else value
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom only warns of some
            try:
                validate_value(inner.VR, words, RAISE)
            except UserWarning as warning:
                raise ValueError(str(warning)) from None


def _values(element: DataElement) -> Iterator[tuple[DataElement, object]]:
    """The values of an element, those in the items of a sequence included; empty ones are legal."""
    if element.VR == "SQ":
        for item in element.value:
            for inner in item:
                if not inner.tag.is_private:
                    yield from _values(inner)
    elif not element.is_empty:
        for value in [element.value] if element.VM <= 1 else element.value:
            if value not in (None, ""):
                yield element, value
