"""Findings that the reference already has: chosen by clicks, handed to the request, shown apart."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from harness.user import (
    addFindings,
    centerInWorld,
    click,
    offered,
    pick,
    placePoint,
    runToResult,
    voxelsInWorld,
)

NODULE = "SCT^27925004^Nodule"
COPIED = "Segmentation category and type~SCT^49755003^Morphologically Abnormal Structure~{}~~"


def ballMask(reference, center, radius):
    """Voxels (k, j, i) within `radius` mm of a world position."""
    return np.linalg.norm(voxelsInWorld(reference) - center, axis=-1) <= radius


def segment(node, number):
    return node.GetSegmentation().GetNthSegment(number)


def run(panel):
    panel.showPanel()
    return runToResult(panel)


def requested(result):
    """`anatomy` of the request that a result was made from."""
    folder = Path(result.GetAttribute("MedSynth.Folder"))
    return json.loads((folder / "request.yaml").read_text())["anatomy"]


def shownMask(node, number, reference):
    segmentID = node.GetSegmentation().GetNthSegmentID(number)
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, reference) > 0


def shiftRight(node, mm):
    """Put a node under a transform that moves it."""
    move = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    shift = vtk.vtkTransform()
    shift.Translate(mm, 0, 0)
    move.SetMatrixTransformToParent(shift.GetMatrix())
    node.SetAndObserveTransformNodeID(move.GetID())


@pytest.fixture(params=[False, True], ids=["axial", "oblique"])
def reference(panel, addReference, request):
    node = addReference(oblique=request.param)
    pick(panel.ui.referenceSelector, node)
    return node


def test_existing_findings_come_back_apart_from_the_new_lesion(panel, reference):
    world = voxelsInWorld(reference)
    masks = {
        "old nodule": ballMask(reference, world[6, 24, 28], 6),
        "beside it": ballMask(reference, world[6, 26, 28], 6),  # overlaps: needs a file of its own
        "far": ballMask(reference, world[14, 20, 12], 7),
    }
    known = addFindings(reference, masks)
    segment(known, 0).SetTag("TerminologyEntry", COPIED.format(NODULE))
    pick(panel.ui.findingsSelector, known)
    assert panel.ui.findingsLabel.text == "3 findings: old nodule, beside it, far."
    assert not panel.ui.noFindingsCheckBox.enabled
    click(panel.ui.addPathologyButton)
    click(panel.widget.cards.cards[0].ui.clickButton)
    place = world[9, 24, 12]
    placePoint(place)
    result = run(panel)

    said = requested(result)["labels"]
    assert [list(entry["names"].values()) for entry in said] == [
        ["old nodule", "far"],
        ["beside it"],
    ]
    assert said[0]["codes"] == {"1": ["27925004", "SCT", "Nodule"]}
    # Nobody chose a type for the others: Slicer's own (Tissue) must not become a finding's code.
    assert said[1]["codes"] == {}
    lesions = result.GetNodeReference("MedSynth.Lesions")
    existing = result.GetNodeReference("MedSynth.Findings")
    names = [segment(existing, n).GetName() for n in range(3)]
    assert names == ["old nodule (existing)", "far (existing)", "beside it (existing)"]
    for number, title in enumerate(("old nodule", "far", "beside it")):
        np.testing.assert_array_equal(shownMask(existing, number, result), masks[title])
    assert lesions.GetSegmentation().GetNumberOfSegments() == 1
    assert np.linalg.norm(centerInWorld(shownMask(lesions, 0, result), result) - place) < 1.5
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    parents = {
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(n)) for n in (result, lesions, existing)
    }
    assert len(parents) == 1
    # What was chosen does not lie on the result; its outlines do, and go with the others.
    assert not known.GetDisplayNode().GetVisibility()
    assert [bool(n.GetDisplayNode().GetVisibility()) for n in (lesions, existing)] == [True, True]
    assert not existing.GetDisplayNode().GetVisibility2DFill()
    click(panel.ui.masksButton)
    assert [bool(n.GetDisplayNode().GetVisibility()) for n in (lesions, existing)] == [False, False]


def test_a_label_map_is_taken_too(panel, reference):
    labels = np.zeros(slicer.util.arrayFromVolume(reference).shape, np.uint8)
    labels[5:8, 20:24, 10:14] = 2
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    matrix = vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    slicer.util.updateVolumeFromArray(node, labels)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    segmentations = len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
    pick(panel.ui.findingsSelector, node)
    assert panel.ui.findingsLabel.text.startswith("1 finding: ")
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == segmentations
    result = run(panel)
    existing = result.GetNodeReference("MedSynth.Findings")
    np.testing.assert_array_equal(shownMask(existing, 0, result), labels > 0)


def test_none_is_said_per_reference_and_not_inherited(panel, addReference):
    first, second = addReference("first"), addReference("second")
    pick(panel.ui.referenceSelector, first)
    assert "in no mask" in panel.ui.findingsLabel.text
    click(panel.ui.noFindingsCheckBox)
    assert not panel.ui.findingsLabel.visible
    assert requested(run(panel))["labels"] == []
    pick(panel.ui.referenceSelector, second)
    assert not panel.ui.noFindingsCheckBox.checked
    assert "labels" not in requested(run(panel))
    pick(panel.ui.referenceSelector, first)
    assert panel.ui.noFindingsCheckBox.checked


def test_a_segmentation_is_not_inherited_by_another_reference(panel, addReference):
    first, second = addReference("first"), addReference("second")
    mask = ballMask(first, voxelsInWorld(first)[6, 24, 28], 6)
    pick(panel.ui.referenceSelector, first)
    pick(panel.ui.findingsSelector, addFindings(first, {"nodule": mask}))
    pick(panel.ui.referenceSelector, second)
    assert panel.ui.findingsSelector.currentNode() is None
    pick(panel.ui.referenceSelector, first)
    assert panel.ui.findingsSelector.currentNode().GetName() == "Known"


def test_mistakes_are_told_at_the_control_and_before_run(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    empty = addFindings(reference, {}, name="Nothing")
    pick(panel.ui.findingsSelector, empty)
    assert panel.ui.findingsLabel.text == "Nothing is empty. Mark the findings, or choose None."
    assert "#b00020" in panel.ui.findingsLabel.styleSheet
    assert not panel.ui.runButton.enabled
    assert "is empty" in panel.ui.estimateLabel.text

    mask = ballMask(reference, voxelsInWorld(reference)[6, 24, 28], 6)
    elsewhere = addFindings(reference, {"nodule": mask}, name="Elsewhere")
    shiftRight(elsewhere, 500)
    pick(panel.ui.findingsSelector, elsewhere)
    assert "nodule marks no voxel of CT" in panel.ui.findingsLabel.text
    assert not panel.ui.runButton.enabled
    pick(panel.ui.findingsSelector, None)
    assert panel.ui.runButton.enabled


def test_a_share_outside_the_image_is_said(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    mask = np.zeros(slicer.util.arrayFromVolume(reference).shape, bool)
    mask[8:12, 20:28, 0:10] = True  # 15 mm wide; half of it goes over the edge
    known = addFindings(reference, {"mass": mask})
    shiftRight(known, 7.5)
    pick(panel.ui.findingsSelector, known)
    assert "50 % of mass lies outside the image" in panel.ui.findingsLabel.text
    assert panel.ui.runButton.enabled


def test_the_mark_of_a_pathology_is_no_existing_finding(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    mask = ballMask(reference, voxelsInWorld(reference)[9, 24, 12], 6)
    mark = addFindings(reference, {"place": mask}, name="Mark")
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    pick(panel.widget.cards.cards[0].ui.whereSelector, mark)
    pick(panel.ui.findingsSelector, mark)
    assert "Mark marks where a pathology goes" in panel.ui.findingsLabel.text
    assert not panel.ui.runButton.enabled


def test_they_come_back_from_the_kept_folder_and_with_the_scene(panel, addReference, tmp_path):
    from medsynth.scene import results

    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    mask = ballMask(reference, voxelsInWorld(reference)[6, 24, 28], 6)
    pick(panel.ui.findingsSelector, addFindings(reference, {"nodule": mask}))
    folder = Path(run(panel).GetAttribute("MedSynth.Folder"))
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(file)
    assert panel.ui.findingsSelector.currentNode().GetName() == "Known"
    assert panel.ui.findingsLabel.text == "1 finding: nodule."
    volume, _ = results.bring_back(folder)
    existing = volume.GetNodeReference("MedSynth.Findings")
    np.testing.assert_array_equal(shownMask(existing, 0, volume), mask)


def test_a_phantom_is_known_to_have_none(panel):
    click(panel.ui.phantomButton)
    panel.wait(lambda: panel.widget.phantom.process is None, 60, "the phantom")
    assert panel.ui.noFindingsCheckBox.checked
    assert requested(run(panel))["labels"] == []


def test_what_marks_them_is_offered_whether_segmentation_or_label_map(panel, addReference):
    reference = addReference()
    addFindings(reference, {}, name="A segmentation")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "A label map")
    names = offered(panel.ui.findingsSelector)
    assert names == ["None", "A segmentation", "A label map"]
