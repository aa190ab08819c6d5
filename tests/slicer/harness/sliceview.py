"""A slice view as Slicer draws it: its slice logic, displayable managers and interactor style.

The window is drawn by Mesa in memory (libosmesa6), so that it needs no screen. It takes mouse events at
pixels, which reach markups, the crosshair and the brush as in the desktop. What Qt adds around a view
(its title bar) is a line of color here.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PySide6.QtGui import QColor, QImage, QPainter, QPen
from vtk.util.numpy_support import vtk_to_numpy

ORIENTATION = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
COLOR = {"Red": "#f34f4f", "Yellow": "#eed64a", "Green": "#6ab26a"}
MANAGERS = (
    *("vtkMRMLVolumeGlyphSliceDisplayableManager", "vtkMRMLModelSliceDisplayableManager"),
    *("vtkMRMLCrosshairDisplayableManager", "vtkMRMLRulerDisplayableManager"),
    *("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLMarkupsDisplayableManager"),
)


def registerManagers(applicationLogic, markupsLogic) -> None:
    """Tell Slicer's view factory what slice views are made of; once per process."""
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(applicationLogic)
    applicationLogic.SetModuleLogic("Markups", markupsLogic)
    for name in MANAGERS:
        factory.RegisterDisplayableManager(name)


class SliceView:
    """One slice widget: `sliceLogic`, `mrmlSliceNode`, `mrmlSliceCompositeNode`, its mouse and picture."""

    def __init__(self, name, scene, size=(360, 360)):
        self.name, self.size = name, size
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.AddSliceNode(name)
        self.mrmlSliceNode().SetDimensions(*size, 1)
        self.reset()
        self._makeWindow()
        self._showSlice()
        self._makeMouse()

    def _makeWindow(self):
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*self.size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(
            vtk.vtkInteractorStyleUser()
        )  # VTK's own turns the camera
        self.interactor.Initialize()

    def _showSlice(self):
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self.image = vtk.vtkActor2D()
        self.image.SetMapper(mapper)
        self.image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddActor2D(self.image)

    def _makeMouse(self):
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self.managers = factory.InstantiateDisplayableManagers(self.renderer)
        self.managers.SetMRMLDisplayableNode(self.mrmlSliceNode())
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(self._logic)
        self.style.SetDisplayableManagers(self.managers)
        self.style.SetInteractor(self.interactor)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8: the blended images alone, without marks."""
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

    def rendered(self) -> np.ndarray:
        """(height, width, 3) uint8: everything that Slicer draws into the view."""
        self._logic.UpdatePipeline()
        # Without a volume there is nothing to map, and the mapper would report an error.
        self.image.SetVisibility(self._logic.GetImageDataConnection() is not None)
        self.image.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())
        self.window.Render()
        width, height = self.size
        taken = vtk.vtkUnsignedCharArray()
        self.window.GetPixelData(0, 0, width - 1, height - 1, 1, taken, 0)
        return np.ascontiguousarray(vtk_to_numpy(taken).reshape(height, width, 3)[::-1])

    def picture(self) -> QImage:
        """The view under its title bar's color."""
        rgb = self.rendered()
        height, width = rgb.shape[:2]
        image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        painter = QPainter(image)
        painter.setPen(QPen(QColor(COLOR[self.name]), 4))
        painter.drawLine(0, 0, width, 0)
        painter.end()
        return image

    def reset(self) -> None:
        """Its own plane, through the middle, 25 cm across."""
        node, (width, height) = self.mrmlSliceNode(), self.size
        node.SetOrientation(ORIENTATION[self.name])
        node.JumpSliceByCentering(0, 0, 0)
        node.SetFieldOfView(250, 250 * height / width, 1)
        node.SetXYZOrigin(0, 0, 0)
        self.mrmlSliceCompositeNode().SetLinkedControl(0)

    def resize(self, width: int, height: int) -> None:
        """Give the view another size, as its widget does."""
        self.size = width, height
        self.window.SetSize(width, height)
        self.interactor.UpdateSize(width, height)
        self._logic.ResizeSliceNode(width, height)

    def xy(self, ras, *, strict=True) -> tuple[int, int]:
        """The pixel of a world position; `strict`: it must be in this view's slice and frame."""
        toXY = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), toXY)
        x, y, z, _ = toXY.MultiplyPoint([*ras, 1])
        width, height = self.size
        seen = 0 <= x < width and 0 <= y < height and abs(z) < 1
        assert seen or not strict, f"{ras} is not in the {self.name} view: {x:.0f} {y:.0f} {z:.1f}"
        return round(x), round(y)

    def send(self, event: str, at: tuple[int, int]) -> None:
        """One mouse event at a pixel, counted from the lower left."""
        self.interactor.SetEventInformation(*at, 0, 0, "\0", 0, None)
        self.interactor.InvokeEvent(event)
