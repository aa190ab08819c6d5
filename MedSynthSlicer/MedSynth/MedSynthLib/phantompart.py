"""The controls of the phantom: a start without a patient's image."""

from __future__ import annotations

from slicer.i18n import tr as _

from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import sampledata
from MedSynthLib.titledbox import Follower


class PhantomPart(Follower):
    """Draws the phantom of the preset, where it has one."""

    def __init__(self, ui, messages, *, onLoaded):
        self.ui, self.messages, self.onLoaded = ui, messages, onLoaded
        self.parameters = self.process = None
        ui.phantomButton.connect("clicked(bool)", self.draw)

    def update(self) -> None:
        """Show what can be chosen of the preset's phantom."""
        if self.parameters is None:
            return
        phantoms = PRESETS[self.parameters.preset].phantoms
        for widget in (self.ui.phantomLabel, self.ui.phantomRow, self.ui.phantomButton):
            widget.visible = bool(phantoms)
        for box in (self.ui.phantomViewBox, self.ui.phantomSideBox, self.ui.phantomDensityBox):
            box.visible = "breast" in phantoms

    def draw(self) -> None:
        """Draw it in a process of its own; the volume arrives later."""
        try:
            self.process = sampledata.start(
                sampledata.Drawing.of(self.parameters),
                self._loaded,
                self._failed,
                onProgress=self._progress,
                onLog=self.messages.log,
            )
        except RuntimeError as error:
            self.messages.fail(str(error))
            return
        self.messages.progress(_("Drawing the phantom..."), None)
        self.ui.phantomButton.enabled = False

    def _progress(self, done: int, total: int) -> None:
        percent = 100 * done / total if total else None
        self.messages.progress(_("Drawing the phantom..."), percent)

    def _loaded(self, node) -> None:
        self._done()
        self.onLoaded(node)

    def _failed(self, reason: str) -> None:
        self._done()
        if reason != "cancelled":
            self.messages.fail(reason)

    def _done(self) -> None:
        self.process = None
        self.messages.progressDone()
        self.ui.phantomButton.enabled = True

    def cancel(self) -> None:
        """End it, as when the scene closes."""
        if self.process is not None:
            self.process.cancel()
