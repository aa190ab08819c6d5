"""Reference and result in Slicer's slice views."""

from __future__ import annotations

import slicer

from medsynth.scene import results


def showSideBySide(reference, result, segmentation=None) -> None:
    """The reference left, the result right, in the plane the slices were made in, at the lesion."""
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    slicer.app.processEvents()  # the views have their new size only then, and are fitted to it
    place = results.first_lesion(segmentation)
    if place is None:
        place = slicer.util.arrayFromVTKMatrix(
            manager.sliceWidget("Red").mrmlSliceNode().GetSliceToRAS()
        )[:3, 3]
    for view, volume in (("Red", reference), ("Yellow", result)):
        widget = manager.sliceWidget(view)
        composite = widget.sliceLogic().GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        widget.mrmlSliceNode().SetOrientation("Axial")
        widget.mrmlSliceNode().RotateToVolumePlane(volume)
        widget.sliceLogic().FitSliceToBackground()
        widget.mrmlSliceNode().JumpSliceByOffsetting(*place)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)  # while the mouse moves, not only at its end


def showInResultView(result) -> None:
    """Show a result in the right view, where it is; the view keeps its place and zoom."""
    widget = slicer.app.layoutManager().sliceWidget("Yellow")
    composite = widget.sliceLogic().GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(result.GetID())
    composite.SetForegroundVolumeID(None)  # that a comparison may have put there


def showThreeD() -> None:
    """Four views, one of them in 3-D, with the lesions in its middle."""
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.processEvents()
    for number in range(manager.threeDViewCount):
        manager.threeDWidget(number).threeDView().resetFocalPoint()
