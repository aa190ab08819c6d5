"""Is this synthetic? `medsynth verify` on the volume of the slice views, one click away."""

from __future__ import annotations

import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from medsynth.scene import nodes
from MedSynthLib.commandpart import CommandPart

ADVICE = _("Show a volume in the slice views first; it is the one that is looked at.")


class VerifyPart(CommandPart):
    """The button, and what was found of the volume that was looked at last."""

    def __init__(self, ui, messages, *, requirementsFile: str):
        super().__init__(ui, messages, ui.verifyButton, requirementsFile=requirementsFile)
        self.folder = None

    def _start(self) -> None:
        volume = shownVolume()
        self._ensureDependencies()
        self.name = volume.GetName()
        self.ui.verifyLabel.text = ""
        self.folder = tempfile.TemporaryDirectory(prefix="medsynth-verify-")
        file = ownFile(volume)
        if file is None:
            file = nodes.write_volume(volume, Path(self.folder.name) / "volume.nrrd")
        self._run(
            ["verify", str(file), *self._records(volume)],
            _("Looking for marks in {name}...").format(name=self.name),
        )

    def _records(self, volume) -> list[str]:
        folder = volume.GetAttribute(nodes.FOLDER)
        return ["--registry", folder] if folder and Path(folder).is_dir() else []

    def _event(self, event: dict) -> None:
        if event["kind"] == "progress":
            done, total = event.get("done", 0), event.get("total", 0)
            text = _("Looking for marks in {name}, slice {done} of {total}").format(
                name=self.name, done=done, total=total
            )
            self.messages.progress(text, 100 * done / total if total else None)
        elif event["kind"] == "result":
            self.found = event.get("data", {})

    def _finished(self, reason: str | None) -> None:
        if self.found:
            # "Nothing found" is the command's answer, not its failure, although its exit code is not 0.
            verdict = self.found["verdict"]
            self.ui.verifyLabel.text = f"{self.name}: {verdict}"
            for layer in self.found["findings"]:
                self.messages.log(f"{layer['layer']}: {layer['words']}")
            self.messages.say(_("What each mark says is in the log."))
        else:
            self.messages.fail(reason)

    def _done(self) -> None:
        super()._done()
        if self.folder is not None:
            self.folder.cleanup()
            self.folder = None

    def cancel(self) -> None:
        """End it, as when the scene closes."""
        self.ui.verifyLabel.text = ""
        super().cancel()


def shownVolume():
    """The volume in the background of the slice views.

    Raises:
        ValueError: there is none.
    """
    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        composite = manager.sliceWidget(name).sliceLogic().GetSliceCompositeNode()
        volume = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        if volume is not None:
            return volume
    raise ValueError(ADVICE)


def ownFile(volume) -> Path | None:
    """The file that a volume was read from, whose header may say more; None: it is not that file any more."""
    storage = volume.GetStorageNode()
    if storage is None or storage.GetNumberOfFileNames() > 0 or volume.GetModifiedSinceRead():
        return None
    file = Path(storage.GetFullNameFromFileName() or "")
    return file if file.is_file() else None
