"""Audit: is a result too near to an image of training? `medsynth audit`, one click away."""

from __future__ import annotations

import json
from pathlib import Path

import qt
from slicer.i18n import tr as _

from medsynth.scene import results
from MedSynthLib import kept, preferences
from MedSynthLib.commandpart import CommandPart

TRAINING_SETTING = "MedSynth/TrainingImages"  # one folder per preset
NOT_AUDITED = "not checked"


def settingOf(preset: str) -> str:
    """The setting that names the folder of a preset's training images."""
    return f"{TRAINING_SETTING}/{preset}"


class AuditPart(CommandPart):
    """The Audit button, and what the last audit of the chosen result found."""

    def __init__(self, ui, messages, *, requirementsFile: str):
        super().__init__(ui, messages, ui.auditButton, requirementsFile=requirementsFile)
        self.parameters = None

    def setParameters(self, parameters) -> None:
        """Follow this parameter node."""
        self.parameters = parameters
        self.update()

    def update(self) -> None:
        """Show what is known of the chosen result."""
        result = self.parameters.result if self.parameters is not None else None
        self.ui.auditLabel.text = verdict(result) if result is not None else ""
        self.ui.auditButton.enabled = result is not None and self.process is None

    def _start(self) -> None:
        folder = kept.find(self.parameters.result)
        preset = results.preset_of(folder)
        images = self._trainingImages(preset)
        if not images:
            words = _(
                "Not audited: it needs the images that the network of {preset} was trained on."
            ).format(preset=preset)
            self.messages.say(words)
            return
        self._ensureDependencies()
        self._run(["audit", str(folder), "--data", images, "--recipe", preset], _("Auditing..."))
        self.messages.say(_("Auditing..."))

    def _trainingImages(self, preset: str) -> str:
        folder = preferences.read(settingOf(preset))
        if not folder or not Path(folder).is_dir():
            folder = qt.QFileDialog.getExistingDirectory(
                self.ui.auditButton,
                _("The images that the network of {preset} was trained on").format(preset=preset),
                "",
            )
            if folder:
                preferences.write(settingOf(preset), folder)
        return folder

    def _event(self, event: dict) -> None:
        if event["kind"] == "progress":
            done, total = event.get("done", 0), event.get("total", 0)
            text = f"{event.get('stage', 'Auditing')} {done} of {total}"
            self.messages.progress(text, 100 * done / total if total else None)
        elif event["kind"] == "stage":
            self.messages.progress(event.get("stage", "Auditing"), None)
        elif event.get("message"):
            self.messages.log(f"{event['kind']}: {event['message']}")
        if event["kind"] == "result":
            self.found = event.get("data", {}) | {"message": event.get("message", "")}

    def _done(self) -> None:
        super()._done()
        self.update()

    def _finished(self, reason: str | None) -> None:
        if self.found.get("verdict") == "clear":
            self.messages.say(_("Audited: the result is no near copy of an image of training."))
        elif self.found:
            # A near copy is the command's answer, not its failure, although its exit code is not 0.
            said = self.found["message"]
            self.messages.fail(
                _(
                    "Near copy of an image of training; it cannot be sent or exported. {said}"
                ).format(said=said)
            )
        else:
            # A folder that does not fit must not be asked with again.
            preferences.write(settingOf(self._preset()), "")
            self.messages.fail(reason)

    def _preset(self) -> str:
        try:
            return results.preset_of(kept.find(self.parameters.result))
        except (ValueError, AttributeError):
            return ""


def verdict(result) -> str:
    """What `audit.json` of a result says, in two words."""
    try:
        record = json.loads((kept.find(result) / "audit.json").read_text(encoding="utf-8"))
        return {"clear": "no near copy"}.get(record["verdict"], record["verdict"])
    except OSError:
        return NOT_AUDITED
    except (ValueError, KeyError, TypeError):
        return "cannot be read" if _hasFiles(result) else "files not found"


def _hasFiles(result) -> bool:
    try:
        kept.find(result)
    except ValueError:
        return False
    return True
