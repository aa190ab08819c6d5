"""Batch: every volume of the scene or of a folder, with lesions and seeds, as a queue that is a data-set plan."""

from __future__ import annotations

import json
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from medsynth.scene import batch, nodes, progress
from MedSynthLib import folders, library, networks, section
from MedSynthLib.folders import ChosenFolder
from MedSynthLib.process import Process
from MedSynthLib.titledbox import Follower

FOLDER_SETTING = "MedSynth/BatchFolder"
LAYOUTS = ("", "nifti", "nnunet", "monai", "coco", "dicom")
SCENE, FOLDER = range(2)
RED, PLAIN = "color: #b00020", ""


class BatchPart(Follower):
    """Its controls, and the one batch that may run.

    Args:
        pathologies: gives the pathologies' parameter nodes.
        log: takes every line.
    """

    def __init__(self, container, *, uiFile, requirementsFile, pathologies, log):
        self.requirementsFile, self.pathologies, self.log = requirementsFile, pathologies, log
        self.process = None
        self.written: tuple = ("", None)  # what the last plan was of, and its file
        self.failed = ""
        self.widget, self.ui = section.fill(container, uiFile)
        for title in (_("all volumes of the scene"), _("a folder")):
            self.ui.imagesComboBox.addItem(title)
        for title in (_("images and masks only"), *LAYOUTS[1:]):
            self.ui.writeComboBox.addItem(title)
        self.folder = ChosenFolder(self.ui.batchFolderButton, FOLDER_SETTING)
        self.ui.imagesComboBox.connect("activated(int)", self.update)
        self.ui.writePlanButton.connect("clicked()", lambda: self._attempt(self._write))
        self.ui.runBatchButton.connect("clicked()", lambda: self._attempt(self._run))
        self.ui.cancelBatchButton.connect("clicked()", self.cancel)
        self.ui.batchProgressBar.visible = False
        self._say("")

    def update(self, *_unused) -> None:
        """Show the controls of the chosen references."""
        fromFolder = self.ui.imagesComboBox.currentIndex == FOLDER
        for widget in (self.ui.batchFolderLabel, self.ui.batchFolderButton):
            widget.visible = fromFolder
        self.ui.eachLabel.text = _("Images in all:") if fromFolder else _("Images of each:")
        running = self.process is not None
        self.ui.runBatchButton.enabled = self.ui.writePlanButton.enabled = not running
        self.ui.cancelBatchButton.enabled = running

    def _say(self, text: str, *, failed: bool = False) -> None:
        self.ui.batchLabel.styleSheet = RED if failed else PLAIN
        self.ui.batchLabel.text = text
        self.ui.batchLabel.visible = bool(text)

    def _attempt(self, action) -> None:
        try:
            action()
        except (ValueError, RuntimeError, OSError) as error:
            self._say(str(error), failed=True)
        self.update()

    def _volumes(self) -> list | None:
        if self.ui.imagesComboBox.currentIndex == FOLDER:
            return None
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return [
            v
            for v in volumes
            if v.IsA("vtkMRMLScalarVolumeNode")
            and not v.IsA("vtkMRMLLabelMapVolumeNode")
            and not v.GetHideFromEditors()
            and not v.GetAttribute(nodes.SYNTHETIC)
        ]

    def _write(self) -> Path:
        """The plan of what is chosen now; one that was written of the same is used again."""
        volumes = self._volumes()
        folder = "" if volumes is not None else self.folder.ask()
        if volumes is None and not folder:
            raise ValueError(_("Choose the folder of the references."))
        record = batch.plan_of_volumes(
            *(self.parameters, self.pathologies()),
            **{"volumes": volumes, "images": folder, "each": self.ui.eachSpinBox.value},
            healthy=self.ui.healthySpinBox.value / 100,
            write=LAYOUTS[self.ui.writeComboBox.currentIndex],
        )
        record |= networks.requestKeys(self.parameters.preset)
        images = [(v.GetID(), v.GetImageData().GetMTime()) for v in volumes or ()]
        key = json.dumps([record, images])
        if key == self.written[0] and self.written[1].is_file():
            return self.written[1]
        where = folders.newRunFolder(f"batch_{self.parameters.preset}")
        file = batch.write(record, where, volumes)
        self.written = key, file
        self._say(
            _(
                "The plan of {count} images is written: {file}. medsynth dataset runs it, too."
            ).format(count=record["count"], file=file)
        )
        return file

    def _run(self) -> None:
        library.ensureDependencies(self.requirementsFile)
        networks.ensure(self.parameters.preset)
        file = self._write()
        self.out, self.failed = file.with_name("set"), ""
        process = Process(
            ["dataset", str(file), "-o", str(self.out), "--progress", "json"],
            self._finished,
            onEvent=self._event,
            onLog=self.log,
        )
        process.start()
        self.process = process
        self.ui.batchProgressBar.visible = True
        self.ui.batchProgressBar.maximum = 0
        self._say(_("Reading the references..."))

    def _event(self, event: dict) -> None:
        message = event.get("message", "")
        if event["kind"] in ("progress", "stage"):
            text, percent = progress.line(event, "")
            self._say(text)
            self.ui.batchProgressBar.maximum = 0 if percent < 0 else 100
            if percent >= 0:
                self.ui.batchProgressBar.value = percent
        elif message:
            self.log(f"{event['kind']}: {message}")
        if event["kind"] == "result":
            self.failed = message

    def _finished(self, reason: str | None) -> None:
        self.process = None
        self.ui.batchProgressBar.visible = False
        if reason is None:
            self._say(_("Done: {out}. {words}").format(out=self.out, words=self.failed).strip())
        elif reason == "cancelled":
            self._say(
                _("Canceled. What is finished is in {out}; Run the batch goes on there.").format(
                    out=self.out
                )
            )
        else:
            self._say(self.failed or reason, failed=True)
        self.update()

    def cancel(self) -> None:
        """End the batch; what is finished stays."""
        if self.process is not None:
            self._say(_("Canceling..."))
            self.process.cancel()
