"""Compare a result with its reference, keep and discard, four more like it; Undo for marks and runs."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from harness.user import (
    card,
    choose,
    click,
    drag,
    offered,
    pick,
    placePoint,
    runToResult,
    slide,
    voxelsInWorld,
)
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication

from medsynth.scene import nodes


def right():
    return slicer.app.layoutManager().sliceWidget("Yellow")


def names():
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [v.GetName() for v in volumes if not v.GetHideFromEditors()]


@pytest.fixture
def made(panel, addReference):
    """A panel with one result of a clicked lesion, its comparison open."""
    panel.reference = addReference()
    pick(panel.ui.referenceSelector, panel.reference)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    panel.place = voxelsInWorld(panel.reference)[9, 24, 12]
    placePoint(panel.place)
    runToResult(panel)
    click(panel.ui.compareButton)
    panel.showPanel()
    panel.compare = panel.widget.comparePart
    return panel


def test_blink_fade_and_difference_are_what_the_view_draws(made):
    ui = made.compare.ui
    synthetic = right().pixels().astype(int)
    left = slicer.app.layoutManager().sliceWidget("Red").pixels().astype(int)
    assert np.abs(synthetic - left).max() > 50  # the lesion
    click(ui.blinkButton)
    assert ui.compareComboBox.currentText == "Real"
    np.testing.assert_array_equal(right().pixels(), left)
    made.compare.key.q.activated.emit()
    assert made.compare.key.q.key() == QKeySequence("K")
    np.testing.assert_array_equal(right().pixels(), synthetic)
    choose(ui.compareComboBox, "Fade")
    assert ui.fadeSlider.enabled
    slide(ui.fadeSlider, 25)
    np.testing.assert_allclose(right().pixels(), 0.25 * synthetic + 0.75 * left, atol=2)
    made.screenshot("compare_fade")
    choose(ui.compareComboBox, "Difference")
    drawn = right().pixels().astype(int)
    middle = np.abs(drawn[..., 0] - 127) <= 1  # gray: no difference
    assert middle.mean() > 0.5
    changed = np.abs(synthetic - left).max(axis=-1) > 50
    assert (drawn[changed] > 150).mean() > 0.9  # the lesion is denser than the lung: bright
    made.screenshot("compare_difference")
    # The other view kept its image, and the difference is in no list, no box, no file.
    assert (
        slicer.app.layoutManager()
        .sliceWidget("Red")
        .sliceLogic()
        .GetSliceCompositeNode()
        .GetBackgroundVolumeID()
        == made.reference.GetID()
    )
    assert offered(made.ui.resultSelector) == ["None", "SYNTHETIC CT seed 7"]
    difference = made.compare.comparison.difference
    assert not difference.GetSaveWithScene()
    array = slicer.util.arrayFromVolume
    expected = array(made.widget._parameters.result).astype("f4") - array(made.reference)
    np.testing.assert_array_equal(array(difference), expected)
    # Another result is shown as it is, and what was made for this one is gone.
    runToResult(made)
    assert ui.compareComboBox.currentText == "Synthetic"
    assert not slicer.mrmlScene.IsNodePresent(difference)


def test_a_phantom_is_not_called_real(made):
    made.reference.SetAttribute(nodes.DRAWN, "1")
    made.compare.update()
    choose(made.compare.ui.compareComboBox, "Drawn phantom")
    assert made.compare.mode == "real"
    np.testing.assert_array_equal(
        right().pixels(), slicer.app.layoutManager().sliceWidget("Red").pixels()
    )


def test_views_are_linked_until_the_user_says_otherwise(made):
    ui = made.compare.ui
    composites = [
        slicer.app.layoutManager().sliceWidget(n).sliceLogic().GetSliceCompositeNode()
        for n in ("Red", "Yellow")
    ]
    assert all(c.GetLinkedControl() and c.GetHotLinkedControl() for c in composites)
    click(ui.linkedCheckBox)
    assert not any(c.GetLinkedControl() or c.GetHotLinkedControl() for c in composites)


def test_four_more_like_this_take_the_next_seeds_and_undo_takes_them_back(made):
    click(made.compare.ui.moreButton)
    assert (made.widget._parameters.seed, made.widget._parameters.variants) == (7, 1)
    made.wait(lambda: made.widget.runPart.synthesis is None, what="the end of the run")
    new = [f"SYNTHETIC CT seed {seed}" for seed in (8, 9, 10, 11)]
    assert names() == ["CT", "SYNTHETIC CT seed 7", *new]
    assert made.ui.undoButton.text == "Undo: run"
    folders = [
        Path(n.GetAttribute("MedSynth.Folder"))
        for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[2:]
    ]
    assert all(f.is_dir() for f in folders)
    click(made.ui.undoButton)
    assert names() == ["CT", "SYNTHETIC CT seed 7"]
    assert not any(f.exists() for f in folders)
    assert made.widget._parameters.result.GetName() == "SYNTHETIC CT seed 7"
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_discarded_results_come_back_and_kept_ones_stay(made):
    ui = made.compare.ui
    runToResult(made)
    first, second = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[1:]
    pick(made.ui.resultSelector, first)
    click(ui.keepButton)
    assert ui.keepButton.checked
    assert not ui.discardButton.enabled
    folder = Path(second.GetAttribute("MedSynth.Folder"))
    before = slicer.util.arrayFromVolume(second).copy()
    title = second.GetName()
    click(ui.discardRestButton)
    assert slicer.mrmlScene.IsNodePresent(first)
    assert not slicer.mrmlScene.IsNodePresent(second)
    assert not folder.exists()
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert made.widget._parameters.result is first
    click(made.ui.undoButton)
    back = made.widget._parameters.result
    assert back.GetName() == title
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(back), before)
    assert (folder / "result.json").is_file()
    assert back.GetNodeReference("MedSynth.Lesions") is not None
    item = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(back))
    assert hierarchy.GetItemName(item).startswith("SYNTHETIC")


def test_a_renamed_result_still_says_synthetic(made, monkeypatch):
    import qt

    result = made.widget._parameters.result
    monkeypatch.setattr(
        qt.QInputDialog, "getText", staticmethod(lambda *a: ("  teaching case 4 ", True))
    )
    click(made.compare.ui.renameButton)
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result))
    lesions = result.GetNodeReference("MedSynth.Lesions")
    assert result.GetName() == hierarchy.GetItemName(item) == "SYNTHETIC teaching case 4"
    assert lesions.GetName() == "SYNTHETIC teaching case 4 lesions"
    click(made.ui.undoButton)
    assert result.GetName() == hierarchy.GetItemName(item) == "SYNTHETIC CT seed 7"


def point(panel):
    return np.array(card(panel).parameters.where.GetNthControlPointPositionWorld(0))


def test_undo_takes_back_what_the_mouse_did_to_marks(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    world = voxelsInWorld(reference)
    click(panel.ui.addPathologyButton)
    assert not panel.ui.undoButton.enabled
    click(card(panel).ui.clickButton)
    placePoint(world[9, 24, 12])
    first = point(panel)
    click(card(panel).ui.clickButton)
    placePoint(world[9, 22, 28])
    second = point(panel)
    drag([second, (second + world[9, 26, 28]) / 2, world[9, 26, 28]])
    assert np.linalg.norm(point(panel) - second) > 4
    assert panel.ui.undoButton.text == "Undo: moving a mark"
    click(panel.ui.undoButton)
    np.testing.assert_allclose(point(panel), second, atol=1e-6)
    click(panel.ui.undoButton)
    np.testing.assert_allclose(point(panel), first, atol=1e-6)
    click(panel.ui.undoButton)
    assert card(panel).parameters.where is None
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") == []
    assert not panel.ui.undoButton.enabled


def test_undo_brings_a_removed_pathology_back_to_its_place_in_the_list(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    world = voxelsInWorld(reference)
    for number, kind in enumerate(("Solid nodule", "Ground-glass nodule"), start=1):
        click(panel.ui.addPathologyButton)
        panel.showPanel()
        click(card(panel, number).ui.clickButton)
        placePoint(world[9, 24, 12 if number == 1 else 28])
        choose(card(panel, number).ui.kindComboBox, kind)
    slide(card(panel, 2).ui.diameterSlider, 20)
    where = point(panel)
    card(panel).ui.cardButton.collapsed = False
    panel.showPanel()
    slide(card(panel).ui.pathologyFactorSlider, 9)
    click(card(panel).ui.removeButton)
    assert [c.parameters.kind for c in panel.widget.cards.cards] == ["ground_glass"]
    click(panel.ui.undoButton)
    QApplication.processEvents()
    assert [c.parameters.kind for c in panel.widget.cards.cards] == ["solid", "ground_glass"]
    np.testing.assert_allclose(point(panel), where, atol=1e-6)
    assert card(panel).parameters.factor == 9
    marks = [c.parameters.where.GetName() for c in panel.widget.cards.cards]
    assert marks == ["Pathology 1 center", "Pathology 2 center"]
    assert card(panel, 2).parameters.diameter == 20


def test_segments_say_what_they_are_and_are_shown_in_3d(made):
    import vtk

    node = made.widget._parameters.result.GetNodeReference("MedSynth.Lesions")
    segment = node.GetSegmentation().GetNthSegment(0)
    entry = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
    # Slicer's own reader of such entries.
    parsed = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.DeserializeTerminologyEntry(str(entry), parsed)
    code = parsed.GetTypeObject()
    assert (code.GetCodingSchemeDesignator(), code.GetCodeValue()) == ("SCT", "27925004")
    assert code.GetCodeMeaning() == "Nodule"
    assert parsed.GetCategoryObject().GetCodeValue() == "49755003"
    click(made.compare.ui.surfaceButton)
    surface = vtk.vtkPolyData()
    node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(0), surface)
    center = np.array(surface.GetCenter())
    assert surface.GetNumberOfPoints() > 50
    assert np.linalg.norm(center - made.place) < 3
    assert node.GetDisplayNode().GetVisibility3D()
    layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert slicer.app.layoutManager().layout == layout
    click(made.compare.ui.surfaceButton)
    assert not node.GetDisplayNode().GetVisibility3D()
