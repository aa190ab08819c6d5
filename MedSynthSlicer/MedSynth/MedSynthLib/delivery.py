"""A result's DICOM files: into a folder, into Slicer's database, to a PACS.

The files were written by the synthesis itself and are handed on unchanged.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MedSynthLib import kept, library
from MedSynthLib.process import Process


def exportable(result) -> Path:
    """The OUT folder of a synthetic volume that may leave it: no near copy of a training image.

    `medsynth audit` finds those, and `medsynth send` refuses them by itself.

    Raises:
        ValueError: there is nothing to export, or it is a near copy that nobody allowed.
    """
    folder = kept.find(result)
    audit = folder / "audit.json"
    if not audit.is_file():
        return folder
    try:
        record = json.loads(audit.read_text(encoding="utf-8"))
        allowed = any(entry["to"] == "anywhere" for entry in record["allowed"])
        clear = record["verdict"] == "clear"
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{audit} cannot be read; run medsynth audit again.") from error
    if not clear and not allowed:
        raise ValueError(
            f"{result.GetName()} is too near to an image the network was trained on ({audit}). Run "
            "the synthesis again with another seed, or allow it by its name in a terminal: "
            f"medsynth audit {folder} --allow-near-copy {folder.name}"
        )
    return folder


def exportTo(result, folder: str) -> Path:
    """Copy the DICOM image and segmentation of a result into a new folder inside `folder`.

    Returns:
        The new folder.

    Raises:
        ValueError: no folder was chosen, or there is nothing to export.
        OSError: the folder cannot be written.
    """
    source = exportable(result)
    if not folder or not Path(folder).is_dir():
        raise ValueError(_("Choose the folder to export to first."))
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in result.GetName())
    target, number = Path(folder) / name, 2
    while target.exists():
        target, number = Path(folder) / f"{name}_{number}", number + 1
    try:
        shutil.copytree(source / "dicom", target)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target


def importIntoDatabase(result) -> int:
    """Copy a result into Slicer's DICOM database.

    Returns:
        The number of files.

    Raises:
        ValueError: there is nothing to import, or the database is not open.
        RuntimeError: Slicer did not take the files.
    """
    folder = exportable(result) / "dicom"
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise ValueError(
            _("Slicer's DICOM database is not open. Open the DICOM module once, then retry.")
        )
    from DICOMLib import DICOMUtils

    # Copies: the database must not depend on a folder that is the user's to move.
    if not DICOMUtils.importDicom(str(folder), copyFiles=True):
        raise RuntimeError(_("Slicer's DICOM database did not take the files; its log says why."))
    return sum(1 for _ in folder.rglob("*.dcm"))


def canSend() -> str:
    """Why results cannot be sent, or an empty text when they can."""
    if library.configuredPython():
        return ""  # the other Python's medsynth will say
    if not (library.libraryFolder() / "medsynth" / "commands" / "send.py").is_file():
        return _("This version of medsynth cannot send to a PACS yet. Export to a folder instead.")
    return ""


class Sending:
    """Sends a result through the library's outbox, with the state of every instance.

    Args:
        folder: the result's OUT folder.
        destination: its name in the address book.
        onProgress: called with a text.
        onFinished: called once with (reason or None, the library's last word).
        onLog: called with every line of the log.
    """

    def __init__(self, folder: Path, destination: str, *, onProgress, onFinished, onLog):
        self.onProgress, self.onFinished, self.onLog = onProgress, onFinished, onLog
        self.said: list[str] = []
        arguments = ["send", str(folder), "--to", destination, "--progress", "json"]
        self.process = Process(arguments, self._finished, onEvent=self._event, onLog=onLog)

    def start(self) -> None:
        """Start sending."""
        self.process.start()

    def _event(self, event: dict) -> None:
        message = event.get("message", "")
        if event["kind"] == "progress":
            text = f"{event.get('stage', '')} {event.get('done', 0)} of {event.get('total', 0)}"
            self.onProgress(f"{text} {message}".strip())
            return
        if message:
            self.onLog(f"{event['kind']}: {message}")
            self.onProgress(message)
        if event["kind"] in ("warning", "result"):
            self.said.append(message)

    def _finished(self, reason: str | None) -> None:
        # What is not delivered is no error of the command: its warnings and last word tell.
        words = " ".join(self.said)
        self.onFinished(None if reason is None else words or reason, words)
