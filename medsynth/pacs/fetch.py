"""Brings one series from a PACS into a folder: complete, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from medsynth.events import Listener, Stage, ignore
from medsynth.pacs.destination import Destination
from medsynth.pacs.extra import load
from medsynth.pacs.text import is_uid, plain, uid_of
from medsynth.storage.folders import new_folder

Keep = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Series:
    """What a PACS says about a series."""

    study: str
    series: str
    modality: str = ""
    description: str = ""
    study_date: str = ""
    count: str = ""

    def describe(self) -> str:
        """One line for people."""
        words = (self.modality, self.study_date, self.count and f"{self.count} objects")
        about = ", ".join(word for word in words if word)
        return f"{self.series}  {about}  {self.description}".rstrip() + f"  (study {self.study})"


def _named_in(content: bytes) -> str:
    try:
        header = dcmread(
            BytesIO(content), stop_before_pixels=True, specific_tags=["SOPInstanceUID"]
        )
    except Exception:  # noqa: BLE001 - a server may send anything
        return ""
    return uid_of(header, "SOPInstanceUID")


class Incoming:
    """Writes what arrives into a folder, each UID once, none that was not asked for."""

    def __init__(self, folder: Path, expected: set[str], stage: Stage):
        self.folder, self.expected, self.stage = folder, expected, stage
        self.received: set[str] = set()
        self.error: OSError | None = None

    def keep(self, uid: str, content: bytes) -> None:
        """Raises OSError when our disk fails, KeyError for an object that was not asked for."""
        if uid not in self.expected or not is_uid(uid):
            raise KeyError(uid)
        if uid in self.received:
            return
        named = _named_in(content)
        if named != uid:
            # Seen with an archive that had overwritten one file by another.
            self.error = OSError(
                f"the server sent {named or 'what cannot be read as DICOM'} when asked for {uid}: "
                "its archive is damaged"
            )
            raise self.error
        try:
            (self.folder / f"{uid}.dcm").write_bytes(content)
        except OSError as error:
            self.error = error
            raise
        self.received.add(uid)
        self.stage.advance()


def search(
    destination: Destination, *, patient: str = "", study: str = "", modality: str = ""
) -> list[Series]:
    """The series of a patient or a study. Raises ConnectionError or PermissionError."""
    _check_narrow(patient.strip(), study.strip())
    way = load("dicomweb_fetch" if destination.is_dicomweb else "dimse_fetch")
    found = way.search(destination, patient=patient, study=study)
    return sorted(
        (s for s in found if not modality or s.modality == modality), key=lambda s: s.series
    )


def _check_narrow(patient: str, study: str) -> None:
    """PS3.4 C.2.2.2: an empty key, `*`, `?` and a list match the data of other patients too."""
    if not patient and not study:
        raise ValueError(
            "give a patient ID or a Study Instance UID: a PACS is not listed as a whole"
        )
    if set(patient) & set("*?\\") or not patient.isprintable() or len(patient) > 64:
        raise ValueError(
            f"--patient must be one whole Patient ID without * ? or \\, got {plain(patient)!r}: a "
            "PACS is not listed as a whole"
        )
    if study and not is_uid(study):
        raise ValueError(f"--study must be one Study Instance UID, got {plain(study)!r}")


def choose(series: Sequence[Series], uid: str) -> Series:
    """The one series that is meant. Raises ValueError that names the choices."""
    matching = [s for s in series if not uid or s.series == uid]
    if len(matching) == 1:
        return matching[0]
    choices = "; ".join(s.describe() for s in series) or "none"
    raise ValueError(f"{len(matching)} series match, expected 1; choose with --series: {choices}")


def fetch(
    destination: Destination,
    series: Series,
    *,
    folder: Path,
    method: str = "auto",
    listener: Listener = ignore,
) -> int:
    """Retrieve `series` into the new `folder`, one file per object; returns their number.

    `method` is auto, get or move (DICOM only); move needs a listening port.

    The folder is for this user alone (0700): what is in it is a real patient's.

    Raises:
        FileExistsError: the folder is there.
        BlockingIOError: another run is fetching into it now.
        ConnectionError: not everything arrived; nothing is left behind.
    """
    _check_new(folder)
    if destination.is_dicomweb and method != "auto":
        raise ValueError("--method is for DICOM; a DICOMweb service is asked by WADO-RS")
    way = load("dicomweb_fetch" if destination.is_dicomweb else "dimse_fetch")
    with new_folder(folder, private=True) as temporary:
        classes = way.classes_of(destination, series)
        with Stage("fetching", total=len(classes), listener=listener) as stage:
            incoming = Incoming(temporary, set(classes), stage)
            known = set(classes.values())
            options = {} if destination.is_dicomweb else {"classes": known, "method": method}
            way.retrieve(destination, series, incoming, **options)
        _check_complete(incoming, destination)
    return len(classes)


def _check_new(folder: Path) -> None:
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} is there already; name a new folder")


def _check_complete(incoming: Incoming, destination: Destination) -> None:
    if incoming.error is not None:
        raise incoming.error
    missing = len(incoming.expected - incoming.received)
    if missing or not incoming.expected:
        raise ConnectionError(
            f"{destination.name} sent {len(incoming.received)} of {len(incoming.expected)} objects "
            "of the series; nothing was kept"
        )
