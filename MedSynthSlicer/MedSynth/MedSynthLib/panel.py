"""The controls that are not pathology cards: preview, run, results.

Each part owns its buttons and shows what happens in the panel itself: one line in plain words, the log
one click away, never a dialog in the way.
"""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import checks, nodes, preview, results
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import computer, delivery, library, networks
from MedSynthLib.estimate import Estimator
from MedSynthLib.folders import EXPORT_SETTING, RESULTS_SETTING, ChosenFolder, defaultResultsFolder
from MedSynthLib.lock import Lock
from MedSynthLib.moments import everyMoment
from MedSynthLib.synthesis import Synthesis

RED, PLAIN = "color: #b00020", ""


class Messages:
    """The status line, the progress bar and the log."""

    def __init__(self, ui):
        self.ui = ui
        ui.logButton.connect("toggled(bool)", self._showLog)
        ui.logText.visible = False
        ui.progressBar.visible = False
        self.say("")

    def _showLog(self, shown: bool) -> None:
        self.ui.logText.visible = shown

    def say(self, text: str) -> None:
        """Show a line."""
        self.ui.statusLabel.styleSheet = PLAIN
        self.ui.statusLabel.text = text

    def fail(self, reason: str) -> None:
        """Show why something did not work."""
        self.ui.statusLabel.styleSheet = RED
        self.ui.statusLabel.text = reason
        self.log(f"ERROR {reason}")

    def forget(self) -> None:
        """Take a reason away that no longer holds, because something was changed since."""
        if self.ui.statusLabel.styleSheet == RED:
            self.say("")

    def log(self, line: str) -> None:
        """Add a line to the log."""
        self.ui.logText.appendPlainText(line)

    def progress(self, text: str, percent: float | None) -> None:
        """Show how far it is; a bar without end while that is unknown."""
        self.say(text)
        self.ui.progressBar.visible = True
        self.ui.progressBar.maximum = 0 if percent is None else 100
        if percent is not None:
            self.ui.progressBar.value = int(percent)

    def progressDone(self) -> None:
        """Take the bar away."""
        self.ui.progressBar.visible = False


class PreviewPart:
    """The low-pass preview and the sentence that says what a factor means."""

    def __init__(self, ui, messages):
        self.ui, self.messages = ui, messages
        self.preview = preview.Preview(everyMoment)
        self.parameters = None
        self.previewed = "anatomy"

    def setParameters(self, parameters) -> None:
        """Follow this parameter node; None stops the preview."""
        self.parameters = parameters
        self.previewed = "anatomy"
        self.update()

    def onAnatomyFactor(self) -> None:
        """The anatomy's slider moved."""
        self.previewed = "anatomy"
        self.update()

    def onPathologyFactor(self, factor: float) -> None:
        """A pathology's slider moved: show what that factor keeps."""
        self.previewed = factor
        self.update()

    def update(self) -> None:
        """Show what the parameter node says."""
        parameters = self.parameters
        if parameters is None or parameters.reference is None:
            self.preview.hide()
            self.ui.factorLabel.text = ""
            return
        anatomy = self.previewed == "anatomy"
        factor = parameters.factor if anatomy else self.previewed
        preset = PRESETS[parameters.preset]
        self.ui.factorLabel.text = preview.explain(parameters.reference, parameters.factor, preset)
        if not parameters.preview:
            self.preview.hide()
            self.ui.previewLabel.text = ""
            return
        whose = "anatomy" if anatomy else "pathology"
        self.ui.previewLabel.text = _("Showing the {whose}'s factor {round}.").format(
            whose=whose, round=round(factor)
        )
        self.preview.show(parameters.reference, round(factor), preset)


class RunPart:
    """Run and Cancel, and what a run would take or why it cannot start."""

    def __init__(
        self, ui, messages, *, requirementsFile: str, serverFile: str, pathologies, onResults
    ):
        self.ui, self.messages = ui, messages
        self.requirementsFile, self.serverFile = requirementsFile, serverFile
        self.pathologies, self.onResults = pathologies, onResults
        self.parameters = None
        self.synthesis = None
        self.lock = Lock(ui)
        self.estimator = Estimator(
            requirementsFile=requirementsFile, pathologies=pathologies, onEstimate=self._say
        )
        ui.runButton.connect("clicked(bool)", self.run)
        ui.cancelButton.connect("clicked(bool)", self.cancel)
        self.ui.cancelButton.enabled = False

    def setParameters(self, parameters) -> None:
        """Follow this parameter node."""
        self.parameters = parameters
        if parameters is None:
            self.estimator.close()
        self.update()

    def update(self) -> None:
        """Say why Run cannot be pressed, or what it will take; lock what a running job ignores."""
        running = self.synthesis is not None
        self.ui.cancelButton.enabled = running
        self.lock.set(running)
        if self.parameters is None or running:
            self.ui.runButton.enabled = False
            self.estimator.cancel()
            self._say("", False)
            return
        reason = checks.why_not(self.parameters, self.pathologies())
        self.ui.runButton.enabled = not reason
        if reason:
            self.estimator.cancel()
            self._say(reason, False)
        elif computer.isServer():
            self.estimator.cancel()
            self._say(
                _("Runs on {server}.").format(server=computer.address() or _("a server")), False
            )
        else:
            self.estimator.ask(self.parameters)

    def _say(self, text: str, refused: bool) -> None:
        self.ui.estimateLabel.text = text
        self.ui.estimateLabel.styleSheet = RED if refused else PLAIN
        self.ui.estimateLabel.visible = bool(text)

    def run(self) -> None:
        """Start the synthesis, or say in the panel why it cannot start."""
        if self.synthesis is not None:
            self.messages.fail(_("A synthesis is running already. Wait for it, or cancel it."))
            return
        try:
            where = computer.chosen()
            if where is None:
                library.ensureDependencies(self.requirementsFile)
                networks.ensure(self.parameters.preset)
            elif computer.agreed(where, self.parameters.reference.GetName()):
                library.ensureDependencies(self.serverFile, torch=False)
            else:
                self.messages.say(_("Not run: nothing was sent."))
                return
            self.synthesis = Synthesis(
                self.parameters,
                self.pathologies(),
                onProgress=self.messages.progress,
                onFinished=self._finished,
                onLog=self.messages.log,
                where=where,
            )
            self.synthesis.start()
        except (ValueError, RuntimeError, OSError) as error:
            self.synthesis = None
            self.messages.progressDone()
            self.messages.fail(str(error))
        self.update()

    def runMore(self, seed: int, number: int) -> None:
        """Run the panel's settings with these seeds; what the panel says stays."""
        parameters = self.parameters
        before = parameters.seed, parameters.variants
        try:
            parameters.seed, parameters.variants = seed, number
            self.run()
        finally:
            parameters.seed, parameters.variants = before

    def cancel(self) -> None:
        """End the running synthesis and everything it started."""
        if self.synthesis is not None:
            self.messages.progress(_("Cancelling..."), None)
            self.ui.cancelButton.enabled = False
            self.synthesis.cancel()

    def _finished(self, reason: str | None, results: list) -> None:
        synthesis, self.synthesis = self.synthesis, None
        self.messages.progressDone()
        self.update()
        if reason == "cancelled":
            self.messages.say(_("Cancelled. The scene is as it was."))
        elif reason is not None:
            self.messages.fail(reason)
        else:
            done = _("Done: {counted}, marked SYNTHETIC.").format(
                counted=counted(len(results), "result")
            )
            if synthesis.warnings:
                done += f" {counted(synthesis.warnings, 'warning')}: see the log."
            self.messages.say(done)
            self.onResults(synthesis.reference, results)


def counted(number: int, noun: str) -> str:
    """`1 result`, `2 results`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class ResultPart:
    """Where results are kept, windows, export, DICOM database."""

    def __init__(self, ui, messages):
        self.ui, self.messages = ui, messages
        self.parameters = None
        ui.resultSelector.addAttribute("vtkMRMLScalarVolumeNode", nodes.SYNTHETIC)
        ui.exportButton.connect("clicked(bool)", self.export)
        ui.databaseButton.connect("clicked(bool)", self.intoDatabase)
        ui.openResultButton.connect("clicked(bool)", self.openKept)
        self.windowButtons: list = []
        self.exportFolder = ChosenFolder(ui.exportFolderButton, EXPORT_SETTING)
        self.keptFolder = ChosenFolder(
            ui.resultsFolderButton, RESULTS_SETTING, default=defaultResultsFolder
        )

    def setPreset(self, preset) -> None:
        """One button per window of the preset."""
        for button in self.windowButtons:
            button.hide()
            button.deleteLater()
        self.windowButtons = []
        for window in preset.windows:
            button = qt.QPushButton(window.name.capitalize())
            button.toolTip = _(
                "Show the {name} window: center {center:g} {units}, width {width:g} {units}"
            ).format(name=window.name, center=window.center, units=preset.units, width=window.width)
            # clicked(bool) would pass its argument in place of the window.
            button.connect("clicked()", lambda w=window: self.setWindow(w))
            self.ui.windowRow.layout().addWidget(button)
            self.windowButtons.append(button)

    def setWindow(self, window) -> None:
        """Show the reference, the results and the preview in one window."""
        shown = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if node.GetAttribute(nodes.SYNTHETIC)
            # A window in gray values means nothing on a reference in its own.
            or (
                not PRESETS[self.parameters.preset].in_display_units
                and (node is self.parameters.reference or not node.GetSaveWithScene())
            )
        ]
        nodes.set_window(window.center, window.width, shown)

    def _attempt(self, action) -> None:
        try:
            self.messages.say(action())
        except (ValueError, RuntimeError, OSError) as error:
            self.messages.fail(str(error))

    def export(self) -> None:
        """Copy the result's DICOM files into the chosen folder; ask for it when there is none."""

        def copied():
            result = self.parameters.result
            delivery.exportable(result)  # nobody chooses a folder for what must not leave
            folder = self.exportFolder.ask()
            if not folder:
                return _("Not exported: no folder was chosen.")
            return _("Exported to {exportTo}.").format(exportTo=delivery.exportTo(result, folder))

        self._attempt(copied)

    def openKept(self) -> None:
        """Bring a result from disk back into the scene, and choose it."""

        def opened():
            start = self.keptFolder.path()
            folder = qt.QFileDialog.getExistingDirectory(
                self.ui.openResultButton, _("Open the folder of a result (seed_...)"), start
            )
            if not folder:
                return _("Nothing was opened.")
            volume, _segmentation = results.bring_back(Path(folder))
            self.parameters.result = volume
            slicer.util.setSliceViewerLayers(background=volume, fit=True)
            return f"{volume.GetName()} is back from {folder}."

        self._attempt(opened)

    def intoDatabase(self) -> None:
        """Copy the result's DICOM files into Slicer's database."""
        self._attempt(
            lambda: (
                f"{delivery.importIntoDatabase(self.parameters.result)} files are in Slicer's "
                "DICOM database."
            )
        )
