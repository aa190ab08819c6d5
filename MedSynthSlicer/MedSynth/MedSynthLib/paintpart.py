"""Painting the place of a pathology with Segment Editor's own effects, in the panel itself.

The widget is Slicer's (qMRMLSegmentEditorWidget). It has a parameter node of its own, so that what the user does
in the module Segment Editor stays as it is.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from MedSynthLib.titledbox import Follower

TAG = "MedSynth"
# Those that make a region of a lesion; all others are in Slicer's module.
EFFECTS = ("Paint", "Draw", "Erase", "Threshold", "Margin", "Smoothing", "Scissors", "Islands")
HIDDEN = (
    *("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible"),
    *("switchToSegmentationsButtonVisible", "specifyGeometryButtonVisible"),
    *("addRemoveSegmentButtonsVisible", "unorderedEffectsVisible"),
)


class PaintPart(Follower):
    """One region at a time, until Done, another mark, or Run.

    Args:
        marks: gives what marks the pathologies' places.
    """

    def __init__(self, ui, *, marks):
        self.ui, self.marks = ui, marks
        self.editor = self.node = self.reference = None
        ui.paintContainer.visible = False
        ui.paintDoneButton.connect("clicked(bool)", self.stop)
        # Connected before the run's own slot: a run reads what is painted by then.
        ui.runButton.connect("clicked(bool)", self.stop)

    def start(self, node, reference, number: int) -> None:
        """Let the user paint the first segment of this segmentation."""
        self.stop()
        self.node, self.reference = node, reference
        editor = self._editor()
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(reference)
        editor.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(0))
        editor.setActiveEffectByName("Paint")
        self.ui.paintLabel.text = _("Pathology {number}: paint its place in the views").format(
            number=number
        )
        self.ui.paintContainer.visible = True

    def stop(self) -> None:
        """Painting is over."""
        self.ui.paintContainer.visible = False
        if self.node is not None:
            self.node = self.reference = None
            self.editor.setActiveEffect(None)
            self.editor.removeViewObservations()

    def update(self) -> None:
        """The region was given up, or another reference was chosen."""
        reference = self.parameters.reference if self.parameters is not None else None
        if self.node is not None and (
            reference is not self.reference or self.node not in self.marks()
        ):
            self.stop()

    def forget(self) -> None:
        """The scene closes: nothing of it may stay with the editor."""
        self.stop()
        if self.editor is not None:
            self.editor.setSegmentationNode(None)
            self.editor.setMRMLSegmentEditorNode(None)

    def _editor(self):
        if self.editor is None:
            self.editor = slicer.qMRMLSegmentEditorWidget()
            self.editor.setEffectNameOrder(EFFECTS)
            for name in HIDDEN:
                setattr(self.editor, name, False)
            self.editor.maximumNumberOfUndoStates = 10
            self.ui.paintContainer.layout().addWidget(self.editor)
        # As Slicer's module: the node first, so that what the editor chooses with the scene is kept there.
        self.editor.setMRMLSegmentEditorNode(_parameterNode())
        self.editor.setMRMLScene(slicer.mrmlScene)
        return self.editor


def _parameterNode():
    """The editor's settings; a lesion is a ball rather than a disk, unless the user chose otherwise."""
    scene, className = slicer.mrmlScene, "vtkMRMLSegmentEditorNode"
    node = scene.GetSingletonNode(TAG, className)
    if node is None:
        node = scene.CreateNodeByClass(className)
        node.UnRegister(None)
        node.SetSingletonTag(TAG)
        node = scene.AddNode(node)
    if node.GetAttribute("BrushSphere") is None:
        node.SetAttribute("BrushSphere", "1")
    return node
