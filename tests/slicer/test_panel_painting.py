"""Painting in the panel: when it begins and ends, and that Slicer's own Segment Editor stays as it is."""

import pytest
import slicer
from harness.segmenteditor import EFFECTS, qMRMLSegmentEditorWidget
from harness.user import choose, click, drag, isPlacing, pick, scrollTo, voxelsInWorld


@pytest.fixture
def painting(panel, addReference):
    """A pathology whose place is being painted."""
    panel.reference = addReference()
    panel.world = voxelsInWorld(panel.reference)
    pick(panel.ui.referenceSelector, panel.reference)
    click(panel.ui.addPathologyButton)
    panel.card = panel.widget.cards.cards[0]
    panel.showPanel()
    click(panel.card.ui.paintButton)
    panel.showPanel()
    return panel


def editor():
    return qMRMLSegmentEditorWidget.observing


def stroke(panel):
    scrollTo(panel.world[9, 24, 12])
    drag([panel.world[9, 24, 12], panel.world[9, 24, 14]])


def isOver(panel):
    """Nothing takes the mouse, and the controls are gone."""
    return editor() is None and not panel.ui.paintContainer.visible


def test_the_editor_is_in_the_panel_with_what_a_lesion_needs(painting):
    from MedSynthLib import paintpart

    assert slicer.util.moduleSelector().selected != "SegmentEditor"
    assert "Pathology 1" in painting.ui.paintLabel.text
    assert set(paintpart.EFFECTS) <= set(EFFECTS)
    assert painting.panel.q.isAncestorOf(editor())
    assert editor().activeEffect().name == "Paint"
    assert not editor().property("segmentationNodeSelectorVisible")
    stroke(painting)
    painting.screenshot("painting", views=("Red",))
    assert painting.card.ui.placeLabel.text == ""  # it is marked


def test_done_ends_it_and_the_region_stays(painting):
    from medsynth.scene import region

    stroke(painting)
    click(painting.ui.paintDoneButton)
    assert isOver(painting)
    mask = region.segmentation_mask(painting.card.parameters.where, painting.reference)
    assert mask.any()
    stroke(painting)  # moves the view, paints nothing
    after = region.segmentation_mask(painting.card.parameters.where, painting.reference)
    assert (mask == after).all()


def test_it_can_go_on(painting):
    where = painting.card.parameters.where
    click(painting.ui.paintDoneButton)
    painting.showPanel()
    click(painting.card.ui.paintButton)
    assert painting.card.parameters.where is where
    assert editor().activeEffect().name == "Paint"


def test_another_mark_ends_it(painting):
    click(painting.card.ui.clickButton)
    assert isPlacing()
    assert isOver(painting)


def test_a_mark_placed_with_slicers_own_toolbar_takes_the_mouse_from_the_brush(painting):
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.Place)
    assert editor() is None
    interaction.SwitchToViewTransformMode()


def test_a_removed_pathology_and_another_reference_end_it(painting, addReference):
    click(painting.card.ui.removeButton)
    assert isOver(painting)
    click(painting.ui.addPathologyButton)
    painting.showPanel()
    click(painting.widget.cards.cards[0].ui.paintButton)
    assert not isOver(painting)
    pick(painting.ui.referenceSelector, addReference("Another"))
    assert isOver(painting)


def test_a_run_reads_what_is_painted_by_then_and_ends_it(painting):
    stroke(painting)
    click(painting.ui.runButton)
    assert isOver(painting)
    painting.wait(lambda: painting.widget.runPart.synthesis is None, what="the end of the run")
    assert "Done" in painting.ui.statusLabel.text


def test_leaving_the_module_ends_it(painting):
    painting.widget.exit()
    assert isOver(painting)


def test_a_closed_scene_leaves_nothing_with_the_editor(painting, addReference):
    own = painting.widget.paintPart.editor
    slicer.mrmlScene.Clear(False)
    assert isOver(painting)
    assert own.mrmlSegmentEditorNode() is None
    pick(painting.ui.referenceSelector, addReference())
    click(painting.ui.addPathologyButton)
    painting.showPanel()
    click(painting.widget.cards.cards[0].ui.paintButton)
    assert painting.widget.paintPart.editor is own
    assert editor().sourceVolumeNode().GetName() == "CT"


def test_slicers_own_segment_editor_stays_as_it_is(painting):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
    node.UnRegister(None)
    node.SetSingletonTag("SegmentEditor")
    node = slicer.mrmlScene.AddNode(node)
    node.SetActiveEffectName("Threshold")
    click(painting.ui.paintDoneButton)
    assert node.GetActiveEffectName() == "Threshold"
    assert editor() is None
    assert painting.widget.paintPart.editor.mrmlSegmentEditorNode() is not node


def test_the_brush_is_a_ball_until_the_user_wants_a_disk(painting):
    node = editor().mrmlSegmentEditorNode()
    assert node.GetAttribute("BrushSphere") == "1"
    editor().activeEffect().setCommonParameter("BrushSphere", 0)  # as its check box does
    click(painting.ui.paintDoneButton)
    painting.showPanel()
    click(painting.card.ui.paintButton)
    assert node.GetAttribute("BrushSphere") == "0"


def test_the_marks_of_another_kind_of_image_are_painted_too(panel, addReference):
    choose(panel.ui.presetComboBox, "Brain CT")
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(panel.widget.cards.cards[0].ui.paintButton)
    assert editor().activeEffect().name == "Paint"
