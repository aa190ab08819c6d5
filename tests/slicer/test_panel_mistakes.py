"""Cheap mistakes are told at their control and when they are made, before anything is installed."""

import sys

import numpy as np
import pytest
import slicer
from harness.user import card, choose, click, paintBall, pick, placePoint, run, slide, voxelsInWorld
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

RED = "#b00020"


def said(panel, number=1):
    return card(panel, number).ui.placeLabel


def placing():
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    return interaction.GetCurrentInteractionMode() == interaction.Place


def outlines():
    """The size outlines in the scene: (center, diameter) of each ball."""
    found = []
    for node in slicer.util.getNodesByClass("vtkMRMLModelNode"):
        if node.GetName() == "MedSynth lesion size":
            bounds = np.reshape(node.GetPolyData().GetBounds(), (3, 2))
            found.append((bounds.mean(1), np.ptp(bounds, axis=1).max()))
    return found


@pytest.fixture
def chosen(panel, addReference):
    panel.reference = addReference()
    pick(panel.ui.referenceSelector, panel.reference)
    panel.world = voxelsInWorld(panel.reference)
    return panel


@pytest.fixture
def clicked(chosen):
    click(chosen.ui.addPathologyButton)
    chosen.showPanel()
    click(card(chosen).ui.clickButton)
    placePoint(chosen.world[9, 24, 12])
    return chosen


def test_run_says_why_it_cannot_be_pressed(panel, addReference):
    asked = sys.modules["slicer.packaging"].asked
    panel.ui.pythonPathLineEdit.currentPath = ""  # so that a run would install
    assert not panel.ui.runButton.enabled
    words = "Choose an anatomy reference first, or press Sample phantom."
    assert panel.ui.estimateLabel.text == words
    panel.screenshot("mistakes_no_reference")
    pick(panel.ui.referenceSelector, addReference())
    assert panel.ui.runButton.enabled
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    assert not panel.ui.runButton.enabled
    assert panel.ui.estimateLabel.text.startswith("Pathology 1: mark its place first")
    click(card(panel).ui.clickButton)
    assert not panel.ui.runButton.enabled
    placePoint(voxelsInWorld(panel.widget._parameters.reference)[9, 24, 12])
    assert panel.ui.runButton.enabled
    choose(card(panel).ui.kindComboBox, "From another volume")
    assert not panel.ui.runButton.enabled
    assert "choose the volume its lesion is taken from" in panel.ui.estimateLabel.text
    assert asked == []


@pytest.mark.parametrize(
    ("voxel", "words"),
    [
        ((9, 24, 12), ""),
        ((9, 24, 20), "not in the lung"),
        ((9, 2, 2), "outside the body"),
    ],
)
def test_a_place_outside_body_or_lung_is_told_at_the_card(chosen, voxel, words):
    click(chosen.ui.addPathologyButton)
    chosen.showPanel()
    slide(card(chosen).ui.diameterSlider, 4)
    click(card(chosen).ui.clickButton)
    placePoint(chosen.world[voxel])
    chosen.wait(lambda: not card(chosen).timer.isActive(), what="the look at the place")
    assert words in said(chosen).text
    assert bool(words) == bool(said(chosen).text)
    if words:
        assert RED in said(chosen).styleSheet
        chosen.screenshot(f"mistakes_{words.replace(' ', '_')}")
        # Moved to a good place, the red text goes.
        card(chosen).parameters.where.SetNthControlPointPositionWorld(0, *chosen.world[9, 24, 12])
        chosen.wait(lambda: not card(chosen).timer.isActive(), what="the look at the place")
        assert said(chosen).text == ""


def test_a_place_outside_the_image_cannot_be_run(clicked):
    mark = card(clicked).parameters.where
    mark.SetNthControlPointPositionWorld(0, *(clicked.world[0, 0, 0] + (200, 0, 0)))
    assert "lies outside CT" in said(clicked).text
    assert RED in said(clicked).styleSheet
    assert not clicked.ui.runButton.enabled
    mark.SetNthControlPointPositionWorld(0, *clicked.world[9, 24, 12])
    assert said(clicked).text == ""
    assert clicked.ui.runButton.enabled


def test_boxes_and_painted_places_are_looked_at_too(chosen):
    for _ in (1, 2):
        click(chosen.ui.addPathologyButton)
        chosen.showPanel()
    click(card(chosen, 2).ui.paintButton)
    assert "Paint its place" in said(chosen, 2).text
    paintBall(chosen.world[9, 7, 20], 4.0, chosen.reference)
    chosen.wait(lambda: "not in the lung" in said(chosen, 2).text, 5, what="the look at the place")
    click(card(chosen, 1).ui.cardButton)
    chosen.showPanel()
    click(card(chosen, 1).ui.boxButton)
    box = card(chosen, 1).parameters.where
    box.SetCenterWorld(*chosen.world[9, 2, 2])
    box.SetSizeWorld(6, 6, 6)
    slicer.app.applicationLogic().GetInteractionNode().SwitchToViewTransformMode()
    chosen.wait(lambda: "outside the body" in said(chosen, 1).text, 5, what="the look at the place")


def test_red_text_goes_when_its_cause_does(chosen):
    click(chosen.ui.exportButton)
    assert RED in chosen.ui.statusLabel.styleSheet
    slide(chosen.ui.factorSlider, 11)
    assert chosen.ui.statusLabel.text == ""


@pytest.mark.parametrize("button", ["clickButton", "boxButton", "curveButton"])
def test_a_line_says_what_to_do_while_placing_and_esc_cancels(chosen, button):
    click(chosen.ui.addPathologyButton)
    chosen.showPanel()
    before = {n.GetID() for n in slicer.util.getNodesByClass("vtkMRMLMarkupsNode")}
    click(getattr(card(chosen).ui, button))
    assert placing()
    assert "in a slice view" in said(chosen).text or "in one slice" in said(chosen).text
    assert said(chosen).text.endswith("Esc cancels.")
    assert RED not in said(chosen).styleSheet
    chosen.panel.q.activateWindow()
    QTest.keyClick(chosen.panel.q, Qt.Key.Key_Escape)
    chosen.wait(lambda: not placing(), what="the end of placing")
    assert card(chosen).parameters.where is None
    assert {n.GetID() for n in slicer.util.getNodesByClass("vtkMRMLMarkupsNode")} == before
    assert "Esc" not in said(chosen).text


def test_esc_brings_the_place_before_back_and_a_new_one_replaces_it(clicked):
    first = card(clicked).parameters.where
    click(card(clicked).ui.boxButton)
    clicked.panel.q.activateWindow()
    QTest.keyClick(clicked.panel.q, Qt.Key.Key_Escape)
    assert card(clicked).parameters.where is first
    click(card(clicked).ui.clickButton)
    placePoint(clicked.world[9, 24, 28])
    clicked.wait(lambda: clicked.widget.cards.placing.node is None, what="the end of placing")
    second = card(clicked).parameters.where
    assert second is not first
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsNode") == [second]


def test_the_size_of_a_clicked_lesion_is_drawn_at_once(clicked):
    [(center, diameter)] = outlines()
    np.testing.assert_allclose(center, clicked.world[9, 24, 12], atol=0.1)
    assert diameter == pytest.approx(14, abs=0.1)
    slide(card(clicked).ui.diameterSlider, 22)
    [(center, diameter)] = outlines()
    assert diameter == pytest.approx(22, abs=0.1)
    mark = card(clicked).parameters.where
    mark.SetNthControlPointPositionWorld(0, *clicked.world[9, 24, 28])
    [(center, diameter)] = outlines()
    np.testing.assert_allclose(center, clicked.world[9, 24, 28], atol=0.1)
    clicked.screenshot("mistakes_size_outline")
    run(clicked)
    assert outlines() == []  # nothing lies on the new lesion
    click(clicked.ui.marksButton)
    assert len(outlines()) == 1
    click(card(clicked).ui.removeButton)
    assert outlines() == []


def test_marks_go_and_are_numbered_with_their_card(clicked):
    for number in (2, 3):
        click(clicked.ui.addPathologyButton)
        clicked.showPanel()
        click(card(clicked, number).ui.clickButton)
        placePoint(clicked.world[9, 24, 24 + number])
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "my own")
    own.AddControlPointWorld(*clicked.world[9, 24, 12])
    third = card(clicked, 3).parameters.where
    click(card(clicked, 2).ui.cardButton)
    clicked.showPanel()
    click(card(clicked, 2).ui.removeButton)
    assert third.GetName() == "Pathology 2 center"
    assert third.GetNthControlPointLabel(0).startswith("Pathology 2 center")
    names = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLMarkupsNode")]
    assert names == ["Pathology 1 center", "Pathology 2 center", "my own"]


def test_a_mark_of_ones_own_stays_when_its_card_goes(chosen):
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "my own")
    own.AddControlPointWorld(*chosen.world[9, 24, 12])
    click(chosen.ui.addPathologyButton)
    chosen.showPanel()
    pick(card(chosen).ui.whereSelector, own)
    click(card(chosen).ui.removeButton)
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsNode") == [own]
    assert own.GetName() == "my own"
