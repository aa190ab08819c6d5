"""Placing a mark by clicks into the slice views, and Esc, which gives it up."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import marks

HINTS = {
    "vtkMRMLMarkupsFiducialNode": _("Click in a slice view: the lesion's center. Esc cancels."),
    "vtkMRMLMarkupsROINode": _("Click twice in a slice view: the box. Esc cancels."),
    "vtkMRMLMarkupsClosedCurveNode": (
        _("Click around the place in one slice; a right click ends the curve. Esc cancels.")
    ),
}


class Placing:
    """One mark at a time. Slicer itself has no key that ends placing, so Esc is bound here."""

    def __init__(self, panel):
        self.node = self.onEnd = None
        self.interaction = None
        self.key = qt.QShortcut(qt.QKeySequence("Escape"), panel)
        self.key.enabled = False
        self.key.connect("activated()", self.cancel)

    def start(self, node, onEnd) -> None:
        """Let the user place this mark; `onEnd` gets whether anything was placed."""
        self.end()
        self.node, self.onEnd = node, onEnd
        application = slicer.app.applicationLogic()
        selection = application.GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        self.interaction = application.GetInteractionNode()
        self.interaction.SetPlaceModePersistence(0)
        self.interaction.SetCurrentInteractionMode(self.interaction.Place)
        self.tag = self.interaction.AddObserver(
            self.interaction.InteractionModeChangedEvent, self._modeChanged
        )
        self.key.enabled = True

    def hint(self, node) -> str:
        """What to do now for this mark; nothing when it is not being placed."""
        return HINTS[node.GetClassName()] if node is not None and node is self.node else ""

    def cancel(self) -> None:
        """Give the mark up."""
        if self.node is not None:
            self.node.RemoveAllControlPoints()
            self.end()

    def _modeChanged(self, caller=None, event=None) -> None:
        if self.interaction.GetCurrentInteractionMode() != self.interaction.Place:
            # Slicer may still be at work on the last point.
            node = self.node
            qt.QTimer.singleShot(0, lambda: self.end() if node is self.node else None)

    def end(self) -> None:
        """Placing is over, by the last click, by Esc or because something else begins."""
        if self.node is None:
            return
        node, onEnd, self.node, self.onEnd = self.node, self.onEnd, None, None
        self.interaction.RemoveObserver(self.tag)
        self.key.enabled = False
        if self.interaction.GetCurrentInteractionMode() == self.interaction.Place:
            self.interaction.SwitchToViewTransformMode()
        if slicer.mrmlScene.IsNodePresent(node):
            onEnd(not marks.is_empty(node))
