"""Nodes join the scene complete: node boxes and the Data module look at them at that moment."""

import shutil
from pathlib import Path

import pytest
import slicer
import vtk
from harness.user import click, offered, pick, placePoint, run, voxelsInWorld


@pytest.fixture
def joined(panel):
    """{node ID: (attributes, hidden)} as each node was when it joined the scene."""
    seen = {}

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(caller, event, node):
        seen[node.GetID()] = (attributes(node), bool(node.GetHideFromEditors()))

    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, added)
    yield seen
    slicer.mrmlScene.RemoveObserver(tag)


def attributes(node):
    names = [n for n in node.GetAttributeNames() if n.startswith("MedSynth") or n == "ModuleName"]
    return {name: node.GetAttribute(name) for name in names}


def runWithPathology(panel, addReference):
    """A reference with one pathology, synthesized: the reference."""
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    click(panel.widget.cards.cards[0].ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    panel.showPanel()
    run(panel)
    return reference


def test_nothing_that_others_go_by_is_set_later(panel, joined, addReference):
    runWithPathology(panel, addReference)
    marked = 0
    for nodeID, asJoined in joined.items():
        node = slicer.mrmlScene.GetNodeByID(nodeID)
        if node is not None:
            assert asJoined == (attributes(node), bool(node.GetHideFromEditors())), node.GetName()
            marked += bool(attributes(node))
    assert marked == 4  # the pathology, its point, the result, the result's lesions


def test_the_preview_of_a_result_is_never_offered_and_leaves_nothing(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    run(panel)
    result = panel.widget._parameters.result
    pick(panel.ui.referenceSelector, result)
    scene, hierarchy = slicer.mrmlScene, slicer.mrmlScene.GetSubjectHierarchyNode()
    before = scene.GetNumberOfNodes()
    boxes = panel.ui.referenceSelector, panel.ui.resultSelector
    names = [offered(box) for box in boxes]
    click(panel.ui.previewCheckBox)
    preview = panel.widget.previewPart.preview.volume
    assert scene.GetNumberOfNodes() == before + 2  # the volume and its display node
    assert not hierarchy.GetItemByDataNode(preview)
    assert [offered(box) for box in boxes] == names
    click(panel.ui.previewCheckBox)
    assert scene.GetNumberOfNodes() == before


def test_a_result_with_a_broken_mask_leaves_nothing(panel, addReference, tmp_path):
    reference = runWithPathology(panel, addReference)
    from medsynth.scene import nodes, results
    from medsynth.scene.vocabulary import PRESETS

    folder = Path(panel.widget._parameters.result.GetAttribute(nodes.FOLDER))
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "pathology_1.nrrd").write_bytes(b"not a picture")
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RuntimeError, match="pathology_1"):
        results.add_result(broken, reference, PRESETS["lung_ct"])
    with pytest.raises(RuntimeError, match="pathology_1"):
        results.bring_back(broken)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_marks_can_be_hidden_as_soon_as_a_place_is_marked(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    assert not panel.ui.marksButton.enabled
    card = panel.widget.cards.cards[0]
    click(card.ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    assert panel.ui.marksButton.enabled
    assert panel.ui.marksButton.checked
    pick(card.ui.whereSelector, None)
    assert not panel.ui.marksButton.enabled
