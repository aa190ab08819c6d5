"""The size of a clicked lesion, drawn as an outline in the slice views while it is chosen."""

from __future__ import annotations

from medsynth.scene.given import slicer, vtk

COLOR = (1.0, 0.69, 0.0)


class SizeOutline:
    """A ball of the given diameter around every point, cut by the slice planes; never saved."""

    def __init__(self):
        self.node = None

    def show(self, where, diameter: float) -> None:
        """Draw it for these points; nothing for other marks, and for hidden ones."""
        points = _points(where)
        if len(points) == 0:
            self.remove()
            return
        balls = vtk.vtkAppendPolyData()
        for point in points:
            ball = vtk.vtkSphereSource()
            ball.SetCenter(*point)
            ball.SetRadius(diameter / 2)
            ball.SetThetaResolution(48)
            ball.SetPhiResolution(32)
            ball.Update()
            balls.AddInputData(ball.GetOutput())
        balls.Update()
        self._node().SetAndObservePolyData(balls.GetOutput())

    def remove(self) -> None:
        """Take it away."""
        if self.node is not None and slicer.mrmlScene.IsNodePresent(self.node):
            slicer.mrmlScene.RemoveNode(self.node.GetDisplayNode())
            slicer.mrmlScene.RemoveNode(self.node)
        self.node = None

    def _node(self):
        if self.node is not None and slicer.mrmlScene.IsNodePresent(self.node):
            return self.node
        self.node = node = slicer.vtkMRMLModelNode()
        node.SetName("MedSynth lesion size")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetSelectable(False)  # the mouse takes the point, not the ball around it
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility2D(True)
        display.SetSliceIntersectionThickness(2)
        display.SetColor(*COLOR)
        display.SetOpacity(0.3)
        return node


def _points(where):
    """World positions of the points that are shown."""
    if where is None or not where.IsA("vtkMRMLMarkupsFiducialNode"):
        return []
    display = where.GetDisplayNode()
    if display is None or not display.GetVisibility():
        return []
    defined = range(where.GetNumberOfControlPoints())
    defined = [
        n for n in defined if where.GetNthControlPointPositionStatus(n) == where.PositionDefined
    ]
    return [where.GetNthControlPointPositionWorld(n) for n in defined]
