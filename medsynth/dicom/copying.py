"""Copy whitelisted attributes from the reference, if their values are fit to be written."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from medsynth.dicom.deidentification import names_someone
from medsynth.dicom.geometry import ds

# What an item of a copied sequence may hold: codes with their modifiers, and look-up tables.
IN_ITEMS = frozenset(
    {
        "CodeValue",
        "LongCodeValue",
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
        "CodeMeaning",
        "AnatomicRegionModifierSequence",
        "PrimaryAnatomicStructureModifierSequence",
        "ViewModifierCodeSequence",
        "LUTDescriptor",
        "LUTExplanation",
        "LUTData",
    }
)


# Value representations of free text, in which somebody may be named.
DESCRIPTIONS = (
    *("PositionReferenceIndicator", "PixelSpacingCalibrationDescription", "PhosphorType"),
)
FREE_TEXT = ("SH", "LO", "ST", "LT", "UC", "UT")


def copy_attributes(
    dataset: Dataset,
    header: Dataset,
    *,
    keywords: Iterable[str],
    secret: frozenset[str] = frozenset(),
) -> list[str]:
    """Copy those `keywords` for which `header` has a valid value; the keywords it had to leave out.

    Free text that holds one of the `secret` words is left out too, see `identifying_words`.

    Empty values are not copied: what is required though empty is written by the caller.
    """
    left_out = []
    for keyword in keywords:
        try:
            if keyword in header and not header[keyword].is_empty:
                dataset[keyword] = _fit(header[keyword], secret)
        except (ValueError, TypeError, OverflowError, NotImplementedError):
            left_out.append(keyword)
    return left_out


def drop_descriptions(dataset: Dataset) -> list[str]:
    """Take descriptions in free text out of what was copied for a synthetic patient; which ones.

    Short technical names (SH: kernel, coil, filter) stay unless they name somebody.
    """
    dropped = [e.keyword for e in dataset if e.keyword in DESCRIPTIONS and not e.is_empty]
    for keyword in dropped:
        del dataset[keyword]
    if "PixelSpacingCalibrationType" in dataset:  # PS3.3 10.7.1.1: then required
        dataset.PixelSpacingCalibrationDescription = "not copied"
    return dropped


def _fit(element: DataElement, secret: frozenset[str]) -> DataElement:
    """A copy with values of legal length and form.

    Raises:
        ValueError: a value breaks its value representation in a way that cannot be mended, or names
            somebody.
    """
    element = copy.deepcopy(element)
    if element.VR == "SQ":
        for item in element.value:
            for inner in list(item):
                if inner.keyword not in IN_ITEMS:
                    del item[inner.tag]
                elif inner.VR == "SQ" or inner.VR in FREE_TEXT:
                    item[inner.tag] = _fit(inner, secret)
        return element
    if element.VR == "DS":
        values = ds([element.value] if element.VM == 1 else list(element.value))
        return DataElement(element.tag, "DS", values[0] if len(values) == 1 else values)
    for value in [element.value] if element.VM <= 1 else element.value:
        validate_value(element.VR, str(value) if element.VR == "IS" else value, RAISE)
        if element.VR in FREE_TEXT and names_someone(str(value), secret):
            raise ValueError(f"{element.keyword} names somebody")
    return element
