"""Whether the slices of a series belong together, and whether their values mean the same: every one.

A SeriesInstanceUID is a label that exports, anonymizers and copies get wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import pydicom

from medsynth.images.damage import naming, one_line
from medsynth.images.dicom.frames import Frame, numbers

# PS3.3 A.1.2: what all objects of one series, or of the study it lies in, have in common.
SHARED = {
    "PatientID": "patients",
    "PatientName": "patients",
    "StudyInstanceUID": "studies",
    "SeriesInstanceUID": "series",
    "FrameOfReferenceUID": "frames of reference",
    "Modality": "modalities",
    "SOPClassUID": "SOP classes",
}


def check_one_series(frames: list[Frame]) -> None:
    """Refuse slices of two patients, studies, frames of reference, modalities or SOP classes.

    Raises:
        ValueError: names the attribute, its values, and a file of each.
    """
    for keyword, what in SHARED.items():
        _check_same(frames, f"slices of two {what}", keyword, _word_of(keyword))


def check_same_meaning(frames: list[Frame]) -> None:
    """Refuse slices whose stored values mean different things: one would come out wrong.

    Slope and intercept may differ from slice to slice, but not their sign or their being there.

    Raises:
        ValueError: names the attribute, its values, and a file of each.
    """
    for keyword in ("PhotometricInterpretation", "PixelRepresentation"):
        _check_same(frames, "slices whose values differ in kind", keyword, _word_of(keyword))
    _check_same(frames, "slices in different units", "RescaleType", _unit)
    _check_same(frames, "slices in different units", "Units", _word_of("Units"))
    for keyword in ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"):
        _check_same(frames, "slices with and without it", keyword, _presence_of(keyword))
    for frame in frames:
        numbers(frame.header, "RescaleSlope", count=1, path=frame.path)
    _check_same(frames, "slices turned over and not", "sign of RescaleSlope", _sign_of_slope)


def check_own_instances(frames: list[Frame]) -> None:
    """Refuse files that share one SOPInstanceUID: an instance is one file, references need it.

    Raises:
        ValueError: names two of the files.
    """
    seen: dict[str, Frame] = {}
    for frame in frames:
        with naming(frame.path):
            uid = one_line(frame.header.get("SOPInstanceUID") or "")
        other = seen.setdefault(uid, frame)
        if uid and other.path != frame.path:
            raise ValueError(
                f"{other.path} and {frame.path} have the same SOPInstanceUID {uid[:64]}; each file "
                "needs one of its own, export the series again"
            )


def _check_same(
    frames: list[Frame], what: str, keyword: str, value_of: Callable[[pydicom.Dataset], str]
) -> None:
    groups: dict[str, list[Frame]] = {}
    known: dict[int, str] = {}  # frames of a classic multi-frame file share one header
    for frame in frames:
        if id(frame.header) not in known:
            with naming(frame.path):
                known[id(frame.header)] = value_of(frame.header)
        groups.setdefault(known[id(frame.header)], []).append(frame)
    if len(groups) > 1:
        listed = "; ".join(
            f"{value[:64] or 'nothing'} in {len(members)}, such as {members[0].name}"
            for value, members in sorted(groups.items(), key=lambda g: -len(g[1]))[:4]
        )
        raise ValueError(
            f"one series holds {what} ({keyword}: {listed}); put those that belong together in a "
            "folder of their own, or export the series again"
        )


def _word_of(keyword: str) -> Callable[[pydicom.Dataset], str]:
    def word(header: pydicom.Dataset) -> str:
        value = header.get(keyword)
        words = one_line("" if value is None else value)
        # PS3.5 6.2: trailing spaces, and empty components of a name, say nothing
        return words.rstrip("^= ").casefold() if keyword == "PatientName" else words

    return word


def _presence_of(keyword: str) -> Callable[[pydicom.Dataset], str]:
    return lambda header: "given" if header.get(keyword) not in (None, "") else "missing"


def _unit(header: pydicom.Dataset) -> str:
    """PS3.3 C.8.2.1: the output units of a CT that does not say them are HU."""
    silent = "HU" if header.get("Modality") == "CT" else "US"
    return one_line(header.get("RescaleType") or silent).upper()


def _sign_of_slope(header: pydicom.Dataset) -> str:
    slope = header.get("RescaleSlope")
    return "negative" if slope not in (None, "") and float(slope) < 0 else "positive"
