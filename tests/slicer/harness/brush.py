"""The brush of Segment Editor's Paint effect, whose own is a Qt class: a ball that is dragged in a view.

What it painted goes into the segment as in Slicer, through its SegmentEditorLogic.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from harness.segmenteditor import qMRMLSegmentEditorWidget

FIRST = 10.0  # before Slicer's own observers of the mouse


class Brush:
    """Paints where the left button is held down while an editor's effect is Paint."""

    def __init__(self, layoutManager, radius=5.0):
        self.radius, self.stroke = radius, None
        for name in layoutManager.sliceViewNames():
            self._watch(layoutManager.sliceWidget(name))

    @property
    def editor(self):
        return qMRMLSegmentEditorWidget.observing

    def _watch(self, view):
        tags = {}

        def mouse(caller, event):
            effect = self.editor and self.editor.activeEffect()
            if not effect or effect.name != "Paint":
                return
            if self.stroke is None and "Press" not in event:
                return
            self._extend(view, event)
            caller.GetCommand(
                tags[event]
            ).AbortFlagOn()  # the view must not move or change its window

        for event in ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent"):
            tags[event] = view.interactor.AddObserver(event, mouse, FIRST)

    def _extend(self, view, event):
        x, y = view.interactor.GetEventPosition()
        at = view.mrmlSliceNode().GetXYToRAS().MultiplyPoint((x, y, 0, 1))[:3]
        self.stroke = [*(self.stroke or []), np.array(at)]
        if "Release" in event:
            stroke, self.stroke = self.stroke, None
            self._paint(stroke)

    def _paint(self, stroke):
        logic, editor = self._logic(), self.editor
        assert logic.UpdateReferenceGeometryImage(), "the segmentation has no geometry to paint on"
        logic.ResetModifierLabelmapToDefault()
        painted = logic.GetModifierLabelmap()
        array = vtk_to_numpy(painted.GetPointData().GetScalars())
        positions = _positions(painted, editor.segmentationNode())
        touched = np.zeros(len(array), bool)
        for a, b in zip(stroke, [*stroke[1:], stroke[-1]], strict=True):
            touched |= _distance(positions, a, b) <= self.radius
        array[touched] = 1
        painted.Modified()
        logic.ModifySegmentByLabelmap(
            editor.segmentationNode(),
            editor.currentSegmentID(),
            painted,
            logic.ModificationModeAdd,
            False,
            False,
        )

    def _logic(self):
        """A SegmentEditorLogic for this stroke: a node of an earlier scene is none of this one."""
        logic, node = slicer.vtkSlicerSegmentEditorLogic(), slicer.vtkMRMLSegmentEditorNode()
        logic.SetMRMLScene(slicer.mrmlScene)
        logic.SetSegmentEditorNode(slicer.mrmlScene.AddNode(node))
        logic.SetSegmentationNode(self.editor.segmentationNode())
        logic.SetSourceVolumeNode(self.editor.sourceVolumeNode())
        logic.SetCurrentSegmentID(self.editor.currentSegmentID())
        return logic


def _positions(image, segmentation):
    """World RAS of every voxel of an oriented image of the segmentation: (N, 3)."""
    toRAS, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(toRAS)
    parent = segmentation.GetParentTransformNode()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, toWorld)
    matrix = slicer.util.arrayFromVTKMatrix(toWorld) @ slicer.util.arrayFromVTKMatrix(toRAS)
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    k, j, i = np.meshgrid(
        np.arange(z0, z1 + 1), np.arange(y0, y1 + 1), np.arange(x0, x1 + 1), indexing="ij"
    )
    ijk = np.stack([i.ravel(), j.ravel(), k.ravel()], 1)
    return ijk @ matrix[:3, :3].T + matrix[:3, 3]


def _distance(points, a, b):
    """Of points (N, 3) from the line from a to b, in mm."""
    along = b - a
    length = along @ along
    t = np.clip((points - a) @ along / length, 0, 1) if length else np.zeros(len(points))
    return np.linalg.norm(points - a - t[:, None] * along, axis=1)
