"""Slicer's buttons for the points of a mark, after qSlicerMarkupsPlaceWidget.cxx: real nodes and logic.

Where the original writes a critical message and goes on, this one fails.
"""

from __future__ import annotations

import slicer
from PySide6.QtCore import Property, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from harness.observers import observe

NODE_EVENTS = (
    *("ModifiedEvent", "PointAddedEvent", "PointRemovedEvent", "PointPositionDefinedEvent"),
    *("PointPositionUndefinedEvent", "FixedNumberOfControlPointsModifiedEvent"),
    "DisplayModifiedEvent",
)


class qSlicerMarkupsPlaceWidget(QWidget):
    """Color, place, delete the last point, and more: of one mark."""

    API = frozenset(
        ("setMRMLScene", "mrmlScene", "currentNode", "setCurrentNode", "setPlaceModeEnabled")
        + ("placeButton", "deleteButton", "deleteLastPoint", "deleteAllPoints")
        + ("setPlaceModePersistency", "setCurrentNodeActive")
    )
    activeMarkupsPlaceModeChanged = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = self._node = self._interaction = self._selection = None
        self._tags, self._modeTags, self._signaled, self._updating = [], [], False, False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._buttons = {name: QToolButton() for name in ("color", "place", "delete", "more")}
        for name, button in self._buttons.items():
            button.setText({"color": "", "place": "+", "delete": "-", "more": "..."}[name])
            layout.addWidget(button)
        self._buttons["place"].setCheckable(True)
        self._buttons["place"].toggled.connect(self.setPlaceModeEnabled)
        self._buttons["delete"].clicked.connect(self._modifyLastPoint)
        self._update()

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        for object, tag in self._modeTags:
            object.RemoveObserver(tag)
        logic = slicer.app.applicationLogic()
        self._interaction, self._selection = logic.GetInteractionNode(), logic.GetSelectionNode()
        watched = (
            (self._interaction, "ModifiedEvent"),
            (self._selection, "ModifiedEvent"),
            (self._selection, self._selection.ActivePlaceNodePlacementValidEvent),
        )
        self._modeTags = [(o, observe(o, event, self._update)) for o, event in watched]
        self._update()

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        assert node is None or node.IsA("vtkMRMLMarkupsNode")
        if node is self._node:
            return
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._tags = node, []
        if node is not None:
            events = [getattr(node, name, name) for name in NODE_EVENTS]
            self._tags = [node.AddObserver(event, self._update) for event in events]
        self._update()

    def placeButton(self):
        return self._buttons["place"]

    def deleteButton(self):
        return self._buttons["delete"]

    def _isActive(self):
        if None in (self._scene, self._node, self._interaction, self._selection):
            return False
        active = slicer.modules.markups.logic().GetActiveListID() == self._node.GetID()
        return active and self._ofActiveClass()

    def _ofActiveClass(self):
        return self._selection.GetActivePlaceNodeClassName() == self._node.GetClassName()

    def setCurrentNodeActive(self, active):
        self._check()
        if active and not self._isActive():
            slicer.modules.markups.logic().SetActiveList(self._node)

    def _check(self):
        if None in (self._scene, self._node, self._interaction):
            raise RuntimeError("the place widget has no scene or no node")

    def _isPlacing(self):
        return self._isActive() and (
            self._interaction.GetCurrentInteractionMode() == self._interaction.Place
        )

    def setPlaceModeEnabled(self, enabled):
        self._check()
        if enabled:
            self.setCurrentNodeActive(True)
            self._interaction.SetCurrentInteractionMode(self._interaction.Place)
        else:
            self._interaction.SetCurrentInteractionMode(self._interaction.ViewTransform)

    def setPlaceModePersistency(self, persistent):
        self._interaction.SetPlaceModePersistence(persistent)

    def _modifyLastPoint(self):
        if self._node is None or self._node.GetNumberOfControlPoints() < 1:
            return
        if self._node.GetFixedNumberOfControlPoints():
            for n in reversed(range(self._node.GetNumberOfControlPoints())):
                if self._node.GetNthControlPointPositionStatus(n) != self._node.PositionUndefined:
                    self._node.UnsetNthControlPointPosition(n)
                    return
        else:
            self.deleteLastPoint()

    def deleteLastPoint(self):
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self):
        if self._node is not None:
            self._node.RemoveAllControlPoints()

    def _update(self, caller=None, event=None):
        if self._updating:
            return
        self._updating = True
        node = self._node if None not in (self._scene, self._interaction) else None
        buttons = self._buttons
        for button in buttons.values():
            button.setEnabled(node is not None)
        if node is not None:
            buttons["place"].setEnabled(not node.GetControlPointPlacementComplete())
            buttons["delete"].setEnabled(node.GetNumberOfControlPoints() > 0)
            display = node.GetDisplayNode()
            if display is not None:
                color = QColor.fromRgbF(*display.GetSelectedColor()).name()
                buttons["color"].setStyleSheet(f"background: {color}")
        placing = node is not None and self._isPlacing()
        buttons["place"].blockSignals(True)
        buttons["place"].setChecked(placing)
        buttons["place"].blockSignals(False)
        if placing != self._signaled:
            self._signaled = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)
        self._updating = False

    placeModeEnabled = Property(bool, _isPlacing, setPlaceModeEnabled)
