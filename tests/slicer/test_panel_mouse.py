"""Marks are placed, moved, cancelled and painted with the mouse, in Slicer's own slice views."""

import numpy as np
import pytest
import slicer
from harness.user import (
    click,
    drag,
    drawBox,
    drawCurve,
    isPlacing,
    paintStroke,
    pick,
    placePoint,
    press,
    scrollTo,
    view,
    voxelsInWorld,
)
from PySide6.QtWidgets import QApplication


@pytest.fixture
def card(panel, addReference):
    """The card of a new pathology, on an oblique volume under a transform."""
    panel.reference = addReference(oblique=True)
    pick(panel.ui.referenceSelector, panel.reference)
    click(panel.ui.addPathologyButton)
    card = panel.widget.cards.cards[0]
    card.world = voxelsInWorld(panel.reference)
    card.reference = panel.reference
    return card


def pixelMm(name="Red"):
    node = view(name).mrmlSliceNode()
    return node.GetFieldOfView()[0] / node.GetDimensions()[0]


def inPlane(start, right, up):
    """A world position beside another one, in the plane of the Red view, in mm."""
    matrix = slicer.util.arrayFromVTKMatrix(view().mrmlSliceNode().GetSliceToRAS())
    return start + right * matrix[:3, 0] + up * matrix[:3, 1]


@pytest.mark.parametrize("name", ["Red", "Yellow", "Green"])
def test_one_click_places_one_point_and_ends_the_mode(card, name):
    click(card.ui.clickButton)
    place = card.world[9, 24, 12]
    placePoint(place, name)
    where = card.parameters.where
    assert not isPlacing()
    assert where.GetNumberOfDefinedControlPoints() == 1
    placed = slicer.util.arrayFromMarkupsControlPoints(where, world=True)[0]
    assert np.linalg.norm(placed - place) < pixelMm(name)


def test_a_click_elsewhere_later_places_nothing(card):
    click(card.ui.clickButton)
    placePoint(card.world[9, 24, 12])
    press(inPlane(card.world[9, 24, 12], 12, 5))
    assert card.parameters.where.GetNumberOfControlPoints() == 1


def test_the_right_button_cancels_the_placement(card):
    click(card.ui.clickButton)
    scrollTo(card.world[9, 24, 12])
    press(card.world[9, 24, 12], button="Right")
    assert not isPlacing()
    assert card.parameters.where is None
    assert not slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")


def test_a_point_is_dragged_to_another_place(card):
    click(card.ui.clickButton)
    start = card.world[9, 24, 12]
    placePoint(start)
    end = inPlane(start, 9, -6)
    drag([start, inPlane(start, 4, -3), end])
    moved = slicer.util.arrayFromMarkupsControlPoints(card.parameters.where, world=True)[0]
    assert np.linalg.norm(moved - end) < 2 * pixelMm()


def test_two_clicks_make_a_box(card):
    click(card.ui.boxButton)
    start = card.world[9, 24, 12]
    scrollTo(start)
    end = inPlane(start, 12, 9)
    drawBox(start, end)
    box = card.parameters.where
    np.testing.assert_allclose(box.GetCenterWorld(), inPlane(start, 6, 4.5), atol=2 * pixelMm())
    sides = sorted(box.GetSize())
    assert min(abs(side - 9) for side in sides) < 2 * pixelMm()
    assert min(abs(side - 12) for side in sides) < 2 * pixelMm()


def test_the_right_button_ends_a_curve(card):
    click(card.ui.curveButton)
    start = card.world[9, 24, 12]
    scrollTo(start)
    corners = [inPlane(start, *at) for at in ((0, 0), (8, 0), (8, 8), (0, 8))]
    drawCurve(corners)
    placed = slicer.util.arrayFromMarkupsControlPoints(card.parameters.where, world=True)
    np.testing.assert_allclose(placed, corners, atol=pixelMm())


def buttons(card):
    """Slicer's place and delete buttons."""
    widget = card.ui.placeWidget
    return widget.placeButton(), widget.deleteButton()


def test_more_points_are_placed_and_the_last_one_is_deleted(card):
    assert not card.ui.placeWidget.visible
    click(card.ui.clickButton)
    place, delete = buttons(card)
    assert place.checked  # it is the mark that is being placed
    assert not delete.enabled
    placePoint(card.world[9, 24, 12])
    assert not place.checked
    click(place)
    assert isPlacing()
    placePoint(card.world[9, 24, 28])
    assert not isPlacing()
    where = card.parameters.where
    assert where.GetNumberOfDefinedControlPoints() == 2  # two lesions
    click(delete)
    assert where.GetNumberOfDefinedControlPoints() == 1
    click(delete)
    assert card.parameters.where is where
    assert card.ui.placeLabel.text  # it has to be marked anew


def test_the_place_button_gives_a_first_placement_up_too(card):
    click(card.ui.clickButton)
    place, _ = buttons(card)
    click(place)
    QApplication.processEvents()
    assert not isPlacing()
    assert card.parameters.where is None
    assert not card.ui.placeWidget.visible


def test_a_box_has_all_its_points_and_a_region_none(card):
    click(card.ui.boxButton)
    start = card.world[9, 24, 12]
    scrollTo(start)
    drawBox(start, inPlane(start, 12, 9))
    place, _ = buttons(card)
    assert card.ui.placeWidget.visible
    assert not place.enabled
    click(card.ui.paintButton)
    assert not card.ui.placeWidget.visible
    assert card.ui.placeWidget.currentNode() is None


def test_the_brush_paints_along_the_drag(card):
    from medsynth.scene import region

    click(card.ui.paintButton)
    start = card.world[9, 24, 12]
    scrollTo(start)
    end = inPlane(start, 10, 0)
    paintStroke([start, end], 5.0, card.reference)
    mask = region.segmentation_mask(card.parameters.where, card.reference)
    along = np.clip((card.world - start) @ (end - start) / 100, 0, 1)[..., None] * (end - start)
    near = np.linalg.norm(card.world - start - along, axis=-1) <= 5
    differ = np.count_nonzero(mask != near)
    assert near.sum() > 50
    assert differ <= 0.1 * near.sum()  # the stroke goes through whole pixels


def test_what_is_marked_is_drawn_in_the_view(card):
    click(card.ui.clickButton)
    place = card.world[9, 24, 12]
    placePoint(place)
    x, y = view().xy(place)
    with_mark = view().rendered().astype(int)
    card.parameters.where.GetDisplayNode().SetVisibility(False)
    changed = np.abs(view().rendered() - with_mark).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert len(rows) > 5
    assert abs(columns.mean() - x) < 4
    assert abs(len(changed) - 1 - rows.mean() - y) < 4


def test_views_are_fitted_after_they_have_their_size(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")
    for name in ("Red", "Yellow"):
        node = view(name).mrmlSliceNode()
        assert node.GetDimensions()[:2] == view(name).size
        shown = node.GetFieldOfView()
        view(name).sliceLogic().FitSliceToBackground()
        np.testing.assert_allclose(shown[:2], node.GetFieldOfView()[:2], rtol=1e-3)
