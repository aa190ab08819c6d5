"""A slice view drawn by Slicer's own slice logic (reslice, window, blend), without OpenGL.

Segment and markup outlines, which Slicer draws with displayable managers, are painted on top.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from vtk.util.numpy_support import vtk_to_numpy

ORIENTATION = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
COLOR = {"Red": "#f34f4f", "Yellow": "#eed64a", "Green": "#6ab26a"}


def _isShown(node) -> bool:
    """Whether Slicer would draw it: it needs a display node that is visible."""
    display = node.GetDisplayNode()
    return display is not None and bool(display.GetVisibility())


class SliceView:
    """One slice widget: `sliceLogic`, `mrmlSliceNode`, `mrmlSliceCompositeNode`, and its picture."""

    def __init__(self, name, scene, size=(360, 360)):
        self.name, self.size = name, size
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.AddSliceNode(name)
        self.mrmlSliceNode().SetOrientation(ORIENTATION[name])
        self.mrmlSliceNode().SetDimensions(*size, 1)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8: what the view shows, without outlines."""
        self._logic.UpdatePipeline()
        blend = self._logic.GetBlend()
        blend.Update()
        image = blend.GetOutput()
        width, height, _ = image.GetDimensions()
        scalars = image.GetPointData().GetScalars()
        if scalars is None or width * height == 0:
            return np.zeros((self.size[1], self.size[0], 3), np.uint8)
        rgba = vtk_to_numpy(scalars).reshape(height, width, -1)[::-1]
        rgb = rgba[..., :3].astype(np.uint16)
        if rgba.shape[2] == 4:  # outside the volume the blend is transparent; the view is black
            rgb = rgb * rgba[..., 3:] // 255
        return np.ascontiguousarray(rgb.astype(np.uint8))

    def picture(self) -> QImage:
        rgb = self.pixels()
        height, width = rgb.shape[:2]
        image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for color, points in self._segmentOutlines():
            painter.setPen(QPen(QColor.fromRgbF(*color), 1.6))
            for x, y in points:
                painter.drawPoint(QPointF(x, y))
        self._drawMarkups(painter)
        painter.setPen(QPen(QColor(COLOR[self.name]), 4))
        painter.drawLine(0, 0, width, 0)
        painter.setPen(QColor("white"))
        painter.drawText(8, height - 10, self._caption())
        painter.end()
        return image

    def _caption(self):
        composite = self.mrmlSliceCompositeNode()
        node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        front = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        opacity = self.mrmlSliceCompositeNode().GetForegroundOpacity()
        parts = [f"B: {node.GetName()}" if node else ""]
        parts += [f"F: {front.GetName()}"] if front and opacity > 0 else []
        return "   ".join(parts)

    def _toScreen(self, ras):
        toXY = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), toXY)
        x, y, z, _ = toXY.MultiplyPoint([*ras, 1])
        return x, self.size[1] - 1 - y, z

    def _segmentOutlines(self):
        collection = slicer.mrmlScene.GetNodesByClass("vtkMRMLSegmentationNode")
        collection.UnRegister(None)
        for n in range(collection.GetNumberOfItems()):
            node = collection.GetItemAsObject(n)
            if not _isShown(node):
                continue
            segmentation = node.GetSegmentation()
            for i in range(segmentation.GetNumberOfSegments()):
                segmentID = segmentation.GetNthSegmentID(i)
                color = segmentation.GetSegment(segmentID).GetColor()
                yield color, self._outline(node, segmentID)

    def _outline(self, node, segmentID):
        """Screen points on the border of a segment in this slice, from its own labelmap."""
        labelmap = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segmentID, labelmap)
        if labelmap.IsEmpty():
            return []
        toRAS = vtk.vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(toRAS)
        world = vtk.vtkMatrix4x4()
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
            node.GetParentTransformNode(), None, world
        )
        vtk.vtkMatrix4x4.Multiply4x4(world, toRAS, toRAS)
        toIJK = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(toRAS, toIJK)
        width, height = self.size
        full = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Multiply4x4(toIJK, self.mrmlSliceNode().GetXYToRAS(), full)
        matrix = np.array([[full.GetElement(r, c) for c in range(4)] for r in range(4)])
        ys, xs = np.mgrid[0:height, 0:width]
        flat = np.stack([xs.ravel(), ys.ravel(), 0 * xs.ravel(), 1 + 0 * xs.ravel()])
        i, j, k = np.rint((matrix @ flat)[:3]).astype(int)
        x0, x1, y0, y1, z0, z1 = labelmap.GetExtent()
        inside = (i >= x0) & (i <= x1) & (j >= y0) & (j <= y1) & (k >= z0) & (k <= z1)
        array = vtk_to_numpy(labelmap.GetPointData().GetScalars())
        array = array.reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
        label = node.GetSegmentation().GetSegment(segmentID).GetLabelValue()
        shown = np.zeros(width * height, bool)
        shown[inside] = array[k[inside] - z0, j[inside] - y0, i[inside] - x0] == label
        shown = shown.reshape(height, width)
        core = shown.copy()
        core[1:-1, 1:-1] &= shown[:-2, 1:-1] & shown[2:, 1:-1] & shown[1:-1, :-2] & shown[1:-1, 2:]
        rows, columns = np.nonzero(shown & ~core)
        return [(c, height - 1 - r) for r, c in zip(rows, columns, strict=True)]

    def _drawMarkups(self, painter):
        collection = slicer.mrmlScene.GetNodesByClass("vtkMRMLMarkupsNode")
        collection.UnRegister(None)
        for n in range(collection.GetNumberOfItems()):
            node = collection.GetItemAsObject(n)
            if not _isShown(node):
                continue
            for i in range(node.GetNumberOfControlPoints()):
                ras = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(i, ras)
                x, y, z = self._toScreen(ras)
                if abs(z) < 2:
                    painter.setPen(QPen(QColor("#ffb000"), 2))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.drawEllipse(QPointF(x, y), 5, 5)
