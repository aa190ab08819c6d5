"""What is seen after a run: the lesion, with nothing lying on it, and the way back."""

import pytest
import slicer
from harness.user import (
    card,
    choose,
    click,
    offered,
    paintBall,
    pick,
    placePoint,
    run,
    slide,
    voxelsInWorld,
)
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest


def visible(node):
    return bool(node.GetDisplayNode().GetVisibility())


def background(view):
    logic = slicer.app.layoutManager().sliceWidget(view).sliceLogic()
    return logic.GetSliceCompositeNode().GetBackgroundVolumeID()


def lesionsOf(volume):
    """The segmentation that was loaded with a result: in its folder of the Data module."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    return next(
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder
    )


@pytest.fixture
def marked(panel, addReference):
    """A point, a box and a painted region, each of a pathology."""
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    world = voxelsInWorld(reference)
    click(panel.ui.addPathologyButton)
    click(card(panel, 1).ui.clickButton)
    placePoint(world[9, 24, 12])
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(card(panel, 2).ui.boxButton)
    box = card(panel, 2).parameters.where
    box.SetCenterWorld(*world[9, 24, 28])
    box.SetSizeWorld(9, 12, 8)
    slicer.app.applicationLogic().GetInteractionNode().SwitchToViewTransformMode()
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(card(panel, 3).ui.paintButton)
    paintBall(world[10, 14, 28], 6.0, reference)
    panel.showPanel()
    panel.reference = reference
    panel.marks = [card(panel, n).parameters.where for n in (1, 2, 3)]
    return panel


def test_marks_let_the_image_be_seen_under_them(marked):
    for mark in marked.marks[:2]:
        display = mark.GetDisplayNode()
        assert not display.GetPointLabelsVisibility()
        assert not display.GetPropertiesLabelVisibility()
        assert not display.GetFillVisibility()
        assert "2D" in display.GetGlyphTypeAsString()


def test_after_a_run_nothing_but_outlines_lies_on_the_lesion(marked):
    assert all(map(visible, marked.marks))
    run(marked)
    assert not any(map(visible, marked.marks))
    display = lesionsOf(marked.widget._parameters.result).GetDisplayNode()
    assert display.GetVisibility()
    assert display.GetVisibility2DOutline()
    assert not display.GetVisibility2DFill()
    segmentation = lesionsOf(marked.widget._parameters.result).GetSegmentation()
    colors = {segmentation.GetNthSegment(i).GetColor() for i in range(3)}
    assert len(colors) == 3
    assert all(max(color) > 0.99 for color in colors)  # a dull outline vanishes on the lung
    marked.screenshot("views_after_a_run")
    click(marked.ui.marksButton)
    assert all(map(visible, marked.marks))
    # A painted region that is shown again does not fill the lesion either.
    assert not marked.marks[2].GetDisplayNode().GetVisibility2DFill()
    click(marked.ui.marksButton)
    assert not any(map(visible, marked.marks))


def test_one_key_and_one_button_show_and_hide_masks(marked):
    assert not marked.ui.masksButton.enabled
    run(marked)
    lesions = lesionsOf(marked.widget._parameters.result)
    marked.panel.q.activateWindow()
    QTest.keyClick(marked.panel.q, Qt.Key.Key_M)
    assert not visible(lesions)
    assert not marked.ui.masksButton.checked
    marked.screenshot("views_masks_hidden")
    QTest.keyClick(marked.panel.q, Qt.Key.Key_M)
    assert visible(lesions)
    click(marked.ui.masksButton)
    assert not visible(lesions)
    assert not any(map(visible, marked.marks))


def test_another_result_shows_that_one_and_only_its_lesions(marked):
    slide(marked.ui.variantsSpinBox, 3)
    run(marked)
    names = offered(marked.ui.resultSelector)[1:]
    assert len(names) == 3
    node = slicer.app.layoutManager().sliceWidget("Yellow").mrmlSliceNode()
    node.SetFieldOfView(30, 30, 1)
    for name in names:
        volume = slicer.util.getNode(name)
        pick(marked.ui.resultSelector, volume)
        assert background("Yellow") == volume.GetID()
        assert background("Red") == marked.reference.GetID()
        own = lesionsOf(volume)
        shown = [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if visible(n)]
        assert shown == [own]
    assert node.GetFieldOfView()[0] == 30  # who compares variants keeps the place


def test_back_to_my_layout(marked):
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    red = manager.sliceWidget("Red").mrmlSliceNode()
    yellow = manager.sliceWidget("Yellow").mrmlSliceNode()
    red.SetFieldOfView(55, 55, 1)
    red.JumpSliceByOffsetting(3, 4, 5)
    before = [slicer.util.arrayFromVTKMatrix(n.GetSliceToRAS()).tolist() for n in (red, yellow)]
    volumes = background("Red"), background("Yellow")
    assert not marked.ui.layoutButton.enabled
    run(marked)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    run(marked)  # the way back leads before the first run
    click(marked.ui.layoutButton)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    slicer.app.processEvents()  # whatever the views still had to do, such as taking their new size
    after = [slicer.util.arrayFromVTKMatrix(n.GetSliceToRAS()).tolist() for n in (red, yellow)]
    assert after == before
    assert red.GetFieldOfView()[:2] == (55, 55)
    assert (background("Red"), background("Yellow")) == volumes
    assert all(map(visible, marked.marks))
    assert not visible(lesionsOf(marked.widget._parameters.result))
    assert not marked.ui.layoutButton.enabled


def test_a_scene_that_is_opened_keeps_its_views(marked, tmp_path):
    run(marked)
    click(marked.ui.masksButton)
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    slicer.mrmlScene.Clear(False)
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert slicer.mrmlScene.ReadFromMRB(file)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    lesions = lesionsOf(marked.widget._parameters.result)
    assert not visible(lesions)
    assert not marked.ui.masksButton.checked
    click(marked.ui.masksButton)
    assert visible(lesions)


def test_what_marks_the_source_of_a_lesion_is_hidden_too(panel, addReference):
    reference, other = addReference(), addReference("Other CT")
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    tumor = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "tumor")
    tumor.CreateDefaultDisplayNodes()
    import numpy as np
    from MedSynthLib import selftest

    lesion = np.zeros((20, 48, 40), "u1")
    lesion[4:7, 20:25, 25:31] = 1
    selftest.paint({tumor.GetSegmentation().AddEmptySegment("", "t"): lesion}, other, tumor)
    choose(card(panel).ui.kindComboBox, "From another volume")
    panel.showPanel()
    pick(card(panel).ui.sourceVolumeSelector, other)
    pick(card(panel).ui.sourceMaskSelector, tumor)
    run(panel)
    assert not visible(tumor)
