"""Where an opacity is drawn for a position word: in the lung that is found, on the patient's side."""

import numpy as np
import pytest

from medsynth.datasets.opacity import FIELDS
from medsynth.generators import drawn_position

SIDE = 256


def radiograph(top=0.2, bottom=0.75):
    """A bright body with two dark lungs from `top` to `bottom` (shares of the height), and their mask."""
    down, across = (axis / SIDE for axis in np.mgrid[:SIDE, :SIDE])
    half = (bottom - top) / 2
    lungs = np.zeros((SIDE, SIDE), bool)
    for center in (0.3, 0.7):
        lungs |= ((across - center) / 0.13) ** 2 + ((down - top - half) / half) ** 2 < 1
    return np.where(lungs, 60.0, 180.0).astype(np.float32), lungs


@pytest.mark.parametrize("position", FIELDS)
def test_it_lies_in_the_lung_on_the_patients_side(position):
    image, lungs = radiograph(top=0.2, bottom=0.9)
    column, row = drawn_position.middle(image, position)
    assert lungs[row, column]
    assert (column > SIDE / 2) == position.endswith("left")
    third = ("upper", "middle", "lower").index(position.split()[0])
    assert 3 * row // SIDE == third


def test_where_lungs_lie_high_the_lower_third_is_the_lungs_own():
    image, lungs = radiograph(top=0.15, bottom=0.6)
    rows = [drawn_position.middle(image, f"{row} left")[1] for row in ("upper", "middle", "lower")]
    assert rows == sorted(rows)
    column, row = drawn_position.middle(image, "lower left")
    assert lungs[row, column]
    assert 0.4 < row / SIDE < 0.6


@pytest.mark.parametrize("position", FIELDS)
def test_what_is_drawn_makes_that_place_whiter_and_no_other_lung(position):
    image, lungs = radiograph()
    after, (drawn,) = drawn_position.draw(image, [position], seed=0)
    change = after - image
    column, row = drawn.center
    assert change[row - 5 : row + 6, column - 5 : column + 6].mean() > 20
    other = lungs & ((np.arange(SIDE) < SIDE / 2) == position.endswith("left"))
    assert np.abs(change[other]).max() < 1
    assert drawn.position == position


def test_two_positions_are_two_opacities():
    image, _ = radiograph()
    after, found = drawn_position.draw(image, ["upper left", "lower right"], seed=0)
    assert [finding.position for finding in found] == ["upper left", "lower right"]
    change = after - image
    assert min(change[f.center[1], f.center[0]] for f in found) > 10


def test_a_black_image_has_no_place():
    image = np.zeros((SIDE, SIDE), np.float32)
    after, found = drawn_position.draw(image, ["lower left"], seed=0)
    assert found == ()
    assert np.array_equal(after, image)


@pytest.mark.parametrize(
    ("preset", "words", "drawn"),
    [
        ("chest_xray", ("pneumonia", "lower left"), ("lower left",)),
        ("chest_xray", ("edema", "lower left", "upper right"), ("lower left", "upper right")),
        ("chest_xray", ("no finding", "lower left"), ()),
        ("chest_xray", ("nodule", "lower left"), ()),
        ("chest_xray", ("pneumonia", "lower central"), ()),
        ("chest_xray", ("pneumonia",), ()),
        ("brain_mri", ("pneumonia", "lower left"), ()),
    ],
)
def test_only_an_opaque_finding_on_a_side_of_a_chest_is_drawn(preset, words, drawn):
    assert drawn_position.drawable(preset, words) == drawn
