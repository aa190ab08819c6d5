"""How a result is looked at: its lesions as outlines, nothing else on them, and the way back."""

from __future__ import annotations

import qt

from medsynth.scene import marks, nodes, results
from MedSynthLib import views
from MedSynthLib.layout import Layout

MASKS_KEY = "M"  # Slicer's slice views use g, and keep it: it switches every segmentation


class ResultViews:
    """Shows the chosen result and only its lesions; switches lesions and marks on and off.

    Args:
        marked: gives the nodes that mark the pathologies' places.
    """

    def __init__(self, ui, panel, *, marked):
        self.ui, self.marked = ui, marked
        self.parameters = self.shown = self.layout = None
        ui.masksButton.connect("toggled(bool)", self._showMasks)
        ui.marksButton.connect("toggled(bool)", self._showMarks)
        ui.layoutButton.connect("clicked(bool)", self.back)
        # The key acts wherever the mouse is in the window, as long as the panel is open.
        self.key = qt.QShortcut(qt.QKeySequence(MASKS_KEY), panel)
        self.key.connect("activated()", self._toggleMasks)

    def setParameters(self, parameters) -> None:
        """Follow this parameter node; what its scene shows stays as it is."""
        self.parameters = parameters
        self.shown = parameters.result if parameters is not None else None
        if parameters is None:
            self.layout = None
        self._updateButtons()

    def update(self) -> None:
        """Show a result that was chosen since."""
        result = self.parameters.result
        if result is not self.shown:
            self.shown = result
            if result is not None:
                self.show(self.parameters.reference, result)
        self._updateButtons()

    def afterRun(self, reference, result) -> None:
        """A new result: beside its reference, with the marks out of its way."""
        self.shown = result
        self.parameters.result = result
        self._arrange(reference, result)
        self._showMarks(False)
        self.show(reference, result)
        self._updateButtons()

    def show(self, reference, result) -> None:
        """This result at the right, of all lesions only its own; place and zoom stay."""
        if self.layout is None and reference is not None:
            self._arrange(reference, result)
        views.showInResultView(result)
        self._showMasks(True)

    def back(self) -> None:
        """The views, and the marks in them, as they were before the run."""
        if self.layout is not None:
            self.layout.restore()
        self.layout = None
        self._showMasks(False)
        self._showMarks(True)

    def _arrange(self, reference, result) -> None:
        self.layout = self.layout or Layout()
        views.showSideBySide(reference, result, results.lesions_of(result))

    def _toggleMasks(self) -> None:
        self._showMasks(not self.ui.masksButton.checked)

    def _showMasks(self, shown: bool) -> None:
        results.show_only_segmentations_of(self.shown if shown else None)
        self._updateButtons()

    def _showMarks(self, shown: bool) -> None:
        for node in self.marked():
            marks.set_visible(node, shown)
        self._updateButtons()

    def _updateButtons(self) -> None:
        masks = results.segmentations_of(self.shown)
        marked = self.marked() if self.parameters is not None else []
        _set(self.ui.masksButton, any(map(nodes.is_visible, masks)), bool(masks))
        _set(self.ui.marksButton, any(map(nodes.is_visible, marked)), bool(marked))
        self.ui.layoutButton.enabled = self.layout is not None


def _set(button, checked: bool, enabled: bool) -> None:
    button.blockSignals(True)
    button.checked = checked
    button.blockSignals(False)
    button.enabled = enabled
