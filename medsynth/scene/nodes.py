"""Volumes between the scene and files, and what is synthetic among the nodes.

Files hold the volume in its own coordinates (its parent transform is not applied). Results are given the
reference's geometry and its parent transform, so that they come out where the reference is.
"""

from __future__ import annotations

from pathlib import Path

from medsynth.scene.given import slicer, vtk

SYNTHETIC = "MedSynth.Synthetic"
FOLDER = "MedSynth.Folder"
DRAWN = "MedSynth.Drawn"  # a phantom
GEOMETRY_TOLERANCE_MM = 1e-3


def write_volume(node, path: Path) -> Path:
    """Write a volume or label map as NRRD; the node keeps its own file name and storage."""
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(False)  # a large CT would take many seconds, and Slicer waits
    if not storage.WriteData(node):
        raise RuntimeError(f"{node.GetName()} could not be written to {path}; is the disk full?")
    return path


def new_node(class_name: str, name: str, attributes=None):
    """A node that is not yet in the scene.

    Node boxes and the Data module look at a node when it joins: what they go by is set before.
    """
    node = slicer.mrmlScene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    for attribute, value in (attributes or {}).items():
        node.SetAttribute(attribute, value)
    return node


def new_synthetic(class_name: str, name: str, folder: Path):
    """A node, not yet in the scene, that says it is synthetic and where its files are."""
    node = new_node(class_name, name, {SYNTHETIC: "1", FOLDER: str(folder)})
    node.SetDescription("Synthetic image made by MedSynth. Not from a patient. Not for diagnosis.")
    return node


def read_volume(path: Path, node):
    """Read an NRRD file into a new volume and add it to the scene."""
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        raise RuntimeError(f"{path} could not be read.")
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    return node


def ijk_to_ras(node):
    """The 4 x 4 matrix from voxel indices to the volume's own RAS."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def take_geometry(node, reference) -> None:
    """Give a result the reference's exact geometry and transform.

    Raises:
        RuntimeError: it is on another grid; then it must not be shown as if it fitted.
    """
    import numpy as np

    same = node.GetImageData().GetDimensions() == reference.GetImageData().GetDimensions()
    # The far corner tells how much a difference in the matrix moves the last voxel.
    corner = np.array([*reference.GetImageData().GetDimensions(), 1.0])
    distance = np.abs((ijk_to_ras(node) - ijk_to_ras(reference)) @ corner).max()
    if not same or distance > GEOMETRY_TOLERANCE_MM:
        raise _other_grid(reference, distance)
    # The file's text rounds. The setters leave alone what is nearly equal, so they start from 1.
    node.SetIJKToRASDirections(1, 0, 0, 0, 1, 0, 0, 0, 1)
    node.SetSpacing(1, 1, 1)
    directions = vtk.vtkMatrix4x4()
    reference.GetIJKToRASDirectionMatrix(directions)
    node.SetIJKToRASDirectionMatrix(directions)
    node.SetSpacing(reference.GetSpacing())
    node.SetOrigin(reference.GetOrigin())
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())


def keep_place(node, reference, from_size: list[int]) -> None:
    """A result that lies on its network's grid, about the reference's middle, under its transform.

    Args:
        fromSize: of the image that was brought onto that grid.

    Raises:
        RuntimeError: that was not the reference as it is now.
    """
    import numpy as np

    same = tuple(from_size) == reference.GetImageData().GetDimensions()
    distance = np.abs(_middle(node) - _middle(reference)).max()
    if not same or distance > GEOMETRY_TOLERANCE_MM:
        raise _other_grid(reference, distance)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())


def _middle(node):
    """The image's center in its own RAS."""
    i, j, k = ((n - 1) / 2 for n in node.GetImageData().GetDimensions())
    return (ijk_to_ras(node) @ [i, j, k, 1])[:3]


def _other_grid(reference, distance: float) -> RuntimeError:
    return RuntimeError(
        f"The result is on another grid than {reference.GetName()} (off by {distance:.3f} mm); "
        "it was not loaded. The log says where its files are."
    )


def put_under_item(title: str, nodes) -> None:
    """One folder item in the subject hierarchy for what belongs together."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), title)
    for node in filter(None, nodes):
        own = hierarchy.GetItemByDataNode(
            node
        )  # Slicer gives every node one; its core alone does not
        if own:
            hierarchy.SetItemParent(own, item)
        else:
            hierarchy.CreateItem(item, node)


def remove(node) -> None:
    """Take a node out of the scene, with its display node, which Slicer leaves behind."""
    display = node.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(node)
    if display is not None:
        slicer.mrmlScene.RemoveNode(display)


def is_visible(node) -> bool:
    """Whether a node is there and shown."""
    display = None if node is None else node.GetDisplayNode()
    return display is not None and bool(display.GetVisibility())


def set_window(center: float, width: float, nodes) -> None:
    """Set the display window of these volumes."""
    for node in nodes:
        display = node.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(width, center)
