"""Volumes and segmentations between the scene and files; results under their SYNTHETIC item.

Files hold the volume in its own coordinates (its parent transform is not applied). Results are given the
reference's geometry and its parent transform, so that they come out where the reference is.
"""

from __future__ import annotations

import json
from pathlib import Path

import slicer
import vtk

SYNTHETIC = "MedSynth.Synthetic"
FOLDER = "MedSynth.Folder"
LESIONS = "MedSynth.Lesions"  # from a result to the segmentation of its lesions
# Bright on lung and on soft tissue; the colors that Slicer draws by chance may vanish on either.
OUTLINES = ((1.0, 0.8, 0.0), (0.0, 0.85, 1.0), (1.0, 0.4, 0.8), (0.45, 1.0, 0.35))
GEOMETRY_TOLERANCE_MM = 1e-3


def writeVolume(node, path: Path) -> Path:
    """Write a volume or label map as NRRD; the node keeps its own file name and storage."""
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(False)  # a large CT would take many seconds, and Slicer waits
    if not storage.WriteData(node):
        raise RuntimeError(f"{node.GetName()} could not be written to {path}; is the disk full?")
    return path


def newNode(className: str, name: str, attributes=None):
    """A node that is not yet in the scene.

    Node boxes and the Data module look at a node when it joins: what they go by is set before.
    """
    node = slicer.mrmlScene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    for attribute, value in (attributes or {}).items():
        node.SetAttribute(attribute, value)
    return node


def newSynthetic(className: str, name: str, folder: Path):
    """A node, not yet in the scene, that says it is synthetic and where its files are."""
    node = newNode(className, name, {SYNTHETIC: "1", FOLDER: str(folder)})
    node.SetDescription("Synthetic image made by MedSynth. Not from a patient. Not for diagnosis.")
    return node


def readVolume(path: Path, node):
    """Read an NRRD file into a new volume and add it to the scene."""
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        raise RuntimeError(f"{path} could not be read.")
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    return node


def ijkToRAS(node):
    """The 4 x 4 matrix from voxel indices to the volume's own RAS."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def takeGeometry(node, reference) -> None:
    """Give a result the reference's exact geometry and transform.

    Raises:
        RuntimeError: it is on another grid; then it must not be shown as if it fitted.
    """
    import numpy as np

    same = node.GetImageData().GetDimensions() == reference.GetImageData().GetDimensions()
    # The far corner tells how much a difference in the matrix moves the last voxel.
    corner = np.array([*reference.GetImageData().GetDimensions(), 1.0])
    distance = np.abs((ijkToRAS(node) - ijkToRAS(reference)) @ corner).max()
    if not same or distance > GEOMETRY_TOLERANCE_MM:
        raise _otherGrid(reference, distance)
    # The file's text rounds. The setters leave alone what is nearly equal, so they start from 1.
    node.SetIJKToRASDirections(1, 0, 0, 0, 1, 0, 0, 0, 1)
    node.SetSpacing(1, 1, 1)
    directions = vtk.vtkMatrix4x4()
    reference.GetIJKToRASDirectionMatrix(directions)
    node.SetIJKToRASDirectionMatrix(directions)
    node.SetSpacing(reference.GetSpacing())
    node.SetOrigin(reference.GetOrigin())
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())


def keepPlace(node, reference, fromSize: list[int]) -> None:
    """A result that lies on its network's grid, about the reference's middle, under its transform.

    Args:
        fromSize: of the image that was brought onto that grid.

    Raises:
        RuntimeError: that was not the reference as it is now.
    """
    import numpy as np

    same = tuple(fromSize) == reference.GetImageData().GetDimensions()
    distance = np.abs(_middle(node) - _middle(reference)).max()
    if not same or distance > GEOMETRY_TOLERANCE_MM:
        raise _otherGrid(reference, distance)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())


def _middle(node):
    """The image's center in its own RAS."""
    i, j, k = ((n - 1) / 2 for n in node.GetImageData().GetDimensions())
    return (ijkToRAS(node) @ [i, j, k, 1])[:3]


def _otherGrid(reference, distance: float) -> RuntimeError:
    return RuntimeError(
        f"The result is on another grid than {reference.GetName()} (off by {distance:.3f} mm); "
        "it was not loaded. The log says where its files are."
    )


def addResult(folder: Path, reference, preset):
    """Load one OUT folder; all of it, or nothing.

    A reference that the preset's network cannot take as it is was brought onto the network's grid,
    in gray values of its own; then the result is shown on that grid and in that window.

    Returns:
        The synthetic volume and the segmentation of its lesions (None without lesions).
    """
    record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    title = f"SYNTHETIC {reference.GetName()} seed {record['seed']}"
    new = newSynthetic("vtkMRMLScalarVolumeNode", title, folder)
    volume = readVolume(folder / "image.nrrd", new)
    try:
        fitted = record.get("reference")
        if fitted:
            keepPlace(volume, reference, fitted["from_size"])
        else:
            takeGeometry(volume, reference)
        volume.GetDisplayNode().CopyContent(reference.GetDisplayNode())
        if preset.in_display_units:
            setWindow(preset.windows[0].center, preset.windows[0].width, [volume])
        segmentation = addLesions(folder, volume)
    except Exception:
        remove(volume)
        raise
    putUnderItem(title, [volume, segmentation])
    return volume, segmentation


def putUnderItem(title: str, nodes) -> None:
    """One folder item in the subject hierarchy for what belongs together."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), title)
    for node in filter(None, nodes):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), item)


def remove(node) -> None:
    """Take a node out of the scene, with its display node, which Slicer leaves behind."""
    display = node.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(node)
    if display is not None:
        slicer.mrmlScene.RemoveNode(display)


def addLesions(folder: Path, volume):
    """The segmentation of a result's lesions, known to the result; None without lesions."""
    masks = sorted(folder.glob("pathology_*.nrrd"))
    if not masks:
        return None
    name = f"{volume.GetName()} lesions"
    node = newSynthetic("vtkMRMLSegmentationNode", name, folder)
    slicer.mrmlScene.AddNode(node)
    try:
        _fill(node, masks, volume)
    except Exception:
        remove(node)
        raise
    volume.SetNodeReferenceID(LESIONS, node.GetID())
    return node


def _fill(node, masks: list[Path], volume) -> None:
    """One segment per mask file, on the volume's grid and under its transform."""
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSliceIntersectionThickness(2)
    node.GetDisplayNode().SetVisibility2DFill(False)  # the lesion itself is what one wants to see
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.modules.segmentations.logic()
    for number, path in enumerate(masks, start=1):
        labelmap = readVolume(path, newNode("vtkMRMLLabelMapVolumeNode", f"Pathology {number}"))
        try:
            takeGeometry(labelmap, volume)
            ids = vtk.vtkStringArray()
            segmentName = f"Pathology {number} (synthetic)"
            color = OUTLINES[(number - 1) % len(OUTLINES)]
            ids.InsertNextValue(node.GetSegmentation().AddEmptySegment("", segmentName, color))
            if not logic.ImportLabelmapToSegmentationNode(labelmap, node, ids):
                raise RuntimeError(f"{path} holds no lesion.")
        finally:
            remove(labelmap)


def showSideBySide(reference, result, segmentation=None) -> None:
    """The reference left, the result right, in the plane the slices were made in, at the lesion."""
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    slicer.app.processEvents()  # the views have their new size only then, and are fitted to it
    place = firstLesion(segmentation)
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


def showInResultView(result) -> None:
    """Show a result in the right view, where it is; the view keeps its place and zoom."""
    widget = slicer.app.layoutManager().sliceWidget("Yellow")
    widget.sliceLogic().GetSliceCompositeNode().SetBackgroundVolumeID(result.GetID())


def lesionsOf(result):
    """The segmentation of a result's lesions, or None."""
    return None if result is None else result.GetNodeReference(LESIONS)


def showOnlyLesionsOf(result) -> None:
    """Of the segmentations of all results show this result's only; None shows none."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(SYNTHETIC) and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(node is lesionsOf(result))


def isVisible(node) -> bool:
    """Whether a node is there and shown."""
    display = None if node is None else node.GetDisplayNode()
    return display is not None and bool(display.GetVisibility())


def firstLesion(segmentation):
    """World position of the first segment's center, or None without one."""
    if segmentation is None or segmentation.GetSegmentation().GetNumberOfSegments() == 0:
        return None
    return segmentation.GetSegmentCenterRAS(segmentation.GetSegmentation().GetNthSegmentID(0))


def setWindow(center: float, width: float, nodes) -> None:
    """Set the display window of these volumes."""
    for node in nodes:
        display = node.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(width, center)
