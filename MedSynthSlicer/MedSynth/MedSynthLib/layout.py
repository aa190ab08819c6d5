"""The slice views as the user had arranged them, so that they can come back after a result was shown."""

from __future__ import annotations

import slicer
import vtk


class Layout:
    """Layout, and of every slice view its plane, zoom and volumes, as they are now."""

    def __init__(self):
        manager = slicer.app.layoutManager()
        self.layout = manager.layout
        self.views = [_View(manager.sliceWidget(name)) for name in manager.sliceViewNames()]

    def restore(self) -> None:
        """Arrange everything as it was; volumes that were deleted since stay away."""
        slicer.app.layoutManager().setLayout(self.layout)
        # The views take their size later; then vtkMRMLSliceLogic::ResizeSliceNode keeps the height of the
        # field of view that is set here and takes its width from the window.
        for view in self.views:
            view.restore()


class _View:
    def __init__(self, widget):
        self.node = widget.mrmlSliceNode()
        self.composite = widget.sliceLogic().GetSliceCompositeNode()
        self.plane = vtk.vtkMatrix4x4()
        self.plane.DeepCopy(self.node.GetSliceToRAS())
        self.field = self.node.GetFieldOfView()
        self.origin = self.node.GetXYZOrigin()
        self.volumes = (
            self.composite.GetBackgroundVolumeID(),
            self.composite.GetForegroundVolumeID(),
        )
        self.opacity = self.composite.GetForegroundOpacity()
        self.linked = self.composite.GetLinkedControl()
        self.hot = self.composite.GetHotLinkedControl()

    def restore(self) -> None:
        # Linked views would hand each restored plane on to the others.
        self.composite.SetLinkedControl(False)
        background, foreground = (_present(volumeID) for volumeID in self.volumes)
        self.composite.SetBackgroundVolumeID(background)
        self.composite.SetForegroundVolumeID(foreground)
        self.composite.SetForegroundOpacity(self.opacity)
        self.node.GetSliceToRAS().DeepCopy(self.plane)
        self.node.UpdateMatrices()
        self.node.SetFieldOfView(*self.field)
        self.node.SetXYZOrigin(*self.origin)
        self.composite.SetLinkedControl(self.linked)
        self.composite.SetHotLinkedControl(self.hot)


def _present(volumeID):
    there = volumeID and slicer.mrmlScene.GetNodeByID(volumeID) is not None
    return volumeID if there else None
