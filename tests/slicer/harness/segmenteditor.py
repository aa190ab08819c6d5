"""Slicer's segment editor widget, after qMRMLSegmentEditorWidget.cxx: real parameter node, its effects by name.

Where the original writes a critical message and goes on, this one fails.
"""

from __future__ import annotations

import slicer
from PySide6.QtCore import Property
from PySide6.QtWidgets import QGridLayout, QToolButton

from harness.mrmlwidgets import qMRMLWidget
from harness.observers import observe

EFFECTS = (
    *("Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices"),
    *("Threshold", "Margin", "Hollow", "Smoothing", "Scissors", "Islands", "Logical operators"),
    "Mask volume",
)
COLUMNS = 4


class Effect:
    """qSlicerSegmentEditorAbstractEffect: its name and its parameters in the editor's node."""

    def __init__(self, name, editor):
        self.name, self._editor = name, editor

    def setCommonParameter(self, name, value):
        self._editor.mrmlSegmentEditorNode().SetAttribute(name, str(value))


def _shown(name):
    def write(self, visible):
        self._visible[name] = visible
        self._drawButtons()

    return Property(bool, lambda self: self._visible.get(name, True), write)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Edits one segmentation with effects that take the mouse in the views."""

    API = frozenset(
        ("mrmlSegmentEditorNode", "setMRMLSegmentEditorNode", "setMRMLScene", "mrmlScene")
        + ("segmentationNode", "setSegmentationNode", "sourceVolumeNode", "setSourceVolumeNode")
        + ("currentSegmentID", "setCurrentSegmentID", "activeEffect", "setActiveEffect")
        + ("setActiveEffectByName", "effectByName", "effectNameOrder", "setEffectNameOrder")
        + ("removeViewObservations", "setupViewObservations", "updateWidgetFromMRML")
    )
    observing = None  # the one whose effect gets the mouse

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = self._tag = self._effect = self._interaction = None
        self._effects = {name: Effect(name, self) for name in EFFECTS}
        self._order, self._visible, self._states = [], {}, 0
        self._grid = QGridLayout(self)
        self._drawButtons()

    segmentationNodeSelectorVisible = _shown("segmentationNodeSelectorVisible")
    sourceVolumeNodeSelectorVisible = _shown("sourceVolumeNodeSelectorVisible")
    switchToSegmentationsButtonVisible = _shown("switchToSegmentationsButtonVisible")
    specifyGeometryButtonVisible = _shown("specifyGeometryButtonVisible")
    addRemoveSegmentButtonsVisible = _shown("addRemoveSegmentButtonsVisible")
    unorderedEffectsVisible = _shown("unorderedEffectsVisible")
    maximumNumberOfUndoStates = Property(
        int, lambda s: s._states, lambda s, v: setattr(s, "_states", v)
    )

    def mrmlSegmentEditorNode(self):
        return self._node

    def setMRMLSegmentEditorNode(self, node):
        if node is self._node:
            return
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            assert node.IsA("vtkMRMLSegmentEditorNode")
            if node.GetAttribute("BrushSphere") is None:  # as the Paint effect's setMRMLDefaults
                node.SetAttribute("BrushSphere", "0")
            self._tag = node.AddObserver("ModifiedEvent", self.updateWidgetFromMRML)
            self.updateWidgetFromMRML()

    def setMRMLScene(self, scene):
        if scene is self.mrmlScene():
            return
        super().setMRMLScene(scene)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if interaction is not self._interaction:
            self._interaction = interaction
            observe(interaction, "ModifiedEvent", self._interactionModified)
        self.updateWidgetFromMRML()

    def _interactionModified(self, caller=None, event=None):
        """As qSlicerSegmentEditorAbstractEffect::interactionNodeModified of the active effect."""
        mode = self._interaction.GetCurrentInteractionMode()
        if self._effect is not None and mode != self._interaction.ViewTransform:
            self.setActiveEffect(None)

    def _given(self):
        if self._node is None:
            raise RuntimeError("the segment editor has no parameter node")
        return self._node

    def segmentationNode(self):
        return None if self._node is None else self._node.GetSegmentationNode()

    def setSegmentationNode(self, node):
        assert node is None or node.IsA("vtkMRMLSegmentationNode")
        if node is None and self._node is None:
            return
        if self._given().GetSegmentationNode() is not node:
            self._node.SetAndObserveSegmentationNode(node)
            self.setActiveEffect(None)

    def sourceVolumeNode(self):
        return None if self._node is None else self._node.GetSourceVolumeNode()

    def setSourceVolumeNode(self, node):
        assert node is None or node.IsA("vtkMRMLScalarVolumeNode")
        self._given().SetAndObserveSourceVolumeNode(node)

    def currentSegmentID(self):
        return self._given().GetSelectedSegmentID() or ""

    def setCurrentSegmentID(self, segmentID):
        self._given().SetSelectedSegmentID(segmentID)

    def effectByName(self, name):
        return self._effects.get(name)

    def activeEffect(self):
        return self._effect

    def setActiveEffect(self, effect):
        if self._node is None and effect is None:
            return
        self._given().SetActiveEffectName("" if effect is None else effect.name)

    def setActiveEffectByName(self, name):
        assert not name or name in self._effects, f"there is no effect {name!r}"
        self.setActiveEffect(self.effectByName(name))

    def effectNameOrder(self):
        return list(self._order)

    def setEffectNameOrder(self, names):
        self._order = list(names)
        self._drawButtons()

    def updateWidgetFromMRML(self, caller=None, event=None):
        scene = self.mrmlScene()
        if scene is None or scene.IsClosing() or self._node is None:
            return
        effect = self.effectByName(self._node.GetActiveEffectName() or "")
        if effect is not self._effect:
            if effect is not None and self.segmentationNode() is None:
                raise RuntimeError("an effect needs a segmentation")
            if effect is None:
                self.removeViewObservations()
            else:
                self.setupViewObservations()
            self._effect = None  # not yet active while the mode of the mouse changes
            if effect is not None and self._interaction.GetCurrentInteractionMode() != (
                self._interaction.ViewTransform
            ):
                self._interaction.SetCurrentInteractionMode(self._interaction.ViewTransform)
            self._effect = effect
        self._drawButtons()

    def setupViewObservations(self):
        qMRMLSegmentEditorWidget.observing = self

    def removeViewObservations(self):
        if qMRMLSegmentEditorWidget.observing is self:
            qMRMLSegmentEditorWidget.observing = None

    def _drawButtons(self):
        while self._grid.count():
            self._grid.takeAt(0).widget().deleteLater()
        rest = [n for n in EFFECTS if n not in self._order]
        names = [
            *self._order,
            *(rest if self._visible.get("unorderedEffectsVisible", True) else []),
        ]
        for number, name in enumerate(names):
            button = QToolButton()
            button.setText(name)
            button.setCheckable(True)
            button.setMinimumWidth(90)
            button.setChecked(self._effect is not None and self._effect.name == name)
            button.clicked.connect(lambda _, n=name: self.setActiveEffectByName(n))
            self._grid.addWidget(button, number // COLUMNS, number % COLUMNS)
