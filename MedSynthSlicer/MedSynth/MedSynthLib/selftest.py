"""What Reload & Test checks: the way from the scene to a request and back, without any synthesis.

Each check gets the parameter node of an empty scene.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import slicer
import vtk

from medsynth.scene import nodes, region, request
from medsynth.scene.preview import Preview
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import pathologynodes
from MedSynthLib.moments import everyMoment

PLACE_IJK = (14, 20, 6)


def obliqueVolume():
    """A small CT-like volume, oblique, anisotropic and under a transform."""
    import numpy as np

    k, j, i = np.indices((12, 40, 32))
    array = np.where((i - 16) ** 2 + (j - 20) ** 2 < 190, 40, -1000) + 3 * k
    return addTurned(
        array,
        "Oblique",
        degrees=(25, -40),
        spacing=(-0.8, -1.7, 4.1),
        origin=(11.5, 40.25, -31.0),
        moved=(12, -6, 20),
        movedDegrees=30,
    )


def addTurned(array, name, *, degrees, spacing, origin, moved, movedDegrees):
    """A volume turned about x and z, under a transform that moves it and turns it about y: mm, degrees."""
    import numpy as np

    turn = vtk.vtkTransform()
    turn.RotateX(degrees[0])
    turn.RotateZ(degrees[1])
    matrix = slicer.util.arrayFromVTKMatrix(turn.GetMatrix()) @ np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    volume = slicer.util.addVolumeFromArray(array.astype(np.int16), matrix, name)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    move = vtk.vtkTransform()
    move.Translate(*moved)
    move.RotateY(movedDegrees)
    transform.SetMatrixTransformToParent(move.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())
    return volume


def pointInWorld(volume, ijk):
    """World RAS of a voxel."""
    import numpy as np

    local = (nodes.ijk_to_ras(volume) @ [*ijk, 1])[:3]
    return region.transformed(np.array([local]), volume.GetParentTransformNode(), None)[0]


def paint(masks: dict, volume, node) -> None:
    """Store masks on the volume's grid in segments (by their id), in the world, as Segment Editor does."""
    # Imported under the volume's transform, then left in the world: importing a transformed label
    # map straight into an untransformed segmentation applies the transform twice (Slicer 5.12).
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for segmentID, mask in masks.items():
        labelmap = slicer.modules.volumes.logic().CreateAndAddLabelVolume(
            slicer.mrmlScene, volume, "painted"
        )
        labelmap.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        slicer.util.updateVolumeFromArray(labelmap, mask)
        ids = vtk.vtkStringArray()
        ids.InsertNextValue(segmentID)
        slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, node, ids)
        slicer.mrmlScene.RemoveNode(labelmap)
    node.HardenTransform()


def checkPointBecomesLPS(parameters) -> None:
    """A clicked point reaches the request in the file's LPS, whatever transform it is under."""
    parameters.reference = obliqueVolume()
    lesion = pathologynodes.addParameterNode(parameters.parameterNode, PRESETS[parameters.preset])
    lesion.where = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    lesion.where.AddControlPointWorld(*pointInWorld(parameters.reference, PLACE_IJK))
    with tempfile.TemporaryDirectory() as folder:
        file = request.write(parameters, [lesion], Path(folder))[0]
        center = json.loads(file.read_text(encoding="utf-8"))["pathologies"][0]["center_mm"]
    right, anterior, superior = (nodes.ijk_to_ras(parameters.reference) @ [*PLACE_IJK, 1])[:3]
    for got, wanted in zip(center, (-right, -anterior, superior), strict=True):
        assert abs(got - wanted) < 1e-3, f"center_mm: got {got}, expected {wanted}"


def checkPaintedRegionStaysInPlace(parameters) -> None:
    """A painted region is written on the reference's grid, voxel for voxel."""
    import numpy as np

    parameters.reference = volume = obliqueVolume()
    painted = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    painted[5:8, 18:24, 12:17] = 1
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segment = node.GetSegmentation().AddEmptySegment("", "lesion")
    paint({segment: painted}, volume, node)
    np.testing.assert_array_equal(region.segmentation_mask(node, volume), painted > 0)


def checkPreviewFilters(parameters) -> None:
    """The preview removes detail, is never saved, and goes away without a trace."""
    import numpy as np

    parameters.reference = volume = obliqueVolume()
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    preview = Preview(everyMoment)
    preview.show(volume, 8, PRESETS[parameters.preset])
    while preview.queue:
        preview.portion()
    shown = slicer.util.arrayFromVolume(preview.volume)
    original = slicer.util.arrayFromVolume(volume)
    assert np.abs(np.diff(shown, axis=2)).max() < np.abs(np.diff(original, axis=2)).max()
    assert not preview.volume.GetSaveWithScene()
    preview.hide()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before


CHECKS = (checkPointBecomesLPS, checkPaintedRegionStaysInPlace, checkPreviewFilters)
