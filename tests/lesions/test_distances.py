"""Distances within a region's box are those of the whole image."""

import numpy as np
import pytest
from scipy import ndimage

from medsynth.lesions.distances import depth_mm, distance_mm, within_mm

SPACING = (3.0, 0.7, 0.9)


def region(shape: tuple[int, int, int], *, at_edge: bool) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[:, 20:50, 30:70] = True
    mask[:, 28:33, 45:60] = False
    mask[:, 24, 36] = False
    if at_edge:
        mask[:, :12, :9] = True
    return mask


@pytest.mark.parametrize("shape", [(1, 80, 90), (4, 80, 90)])
@pytest.mark.parametrize("at_edge", [False, True])
def test_the_box_changes_no_distance(shape, at_edge):
    mask = region(shape, at_edge=at_edge)
    depth = ndimage.distance_transform_edt(mask, sampling=SPACING)
    np.testing.assert_array_equal(depth_mm(mask, SPACING), depth)
    away = ndimage.distance_transform_edt(~mask, sampling=SPACING)
    for reach in (0.5, 0.9, 5.0):
        np.testing.assert_array_equal(within_mm(mask, reach, SPACING), away <= reach)
    wanted = np.zeros(shape, dtype=bool)
    wanted[:, 60:70, 5:15] = True
    np.testing.assert_array_equal(distance_mm(mask, SPACING, wanted=wanted)[wanted], away[wanted])


def test_nothing_and_everything_inside():
    nothing = np.zeros((2, 5, 6), dtype=bool)
    assert not depth_mm(nothing, SPACING).any()
    assert np.isinf(depth_mm(~nothing, SPACING)).all()
    assert not within_mm(nothing, 4.0, SPACING).any()
    assert np.isinf(distance_mm(nothing, SPACING, wanted=~nothing)).all()
    assert depth_mm(np.array([[[True, False]]]), SPACING).tolist() == [[[0.9, 0.0]]]


def test_no_distance_reaches_outside_the_image():
    """A region that fills all but one slice is as deep as that slice is away, at the edge too."""
    mask = np.ones((3, 10, 10), dtype=bool)
    mask[0] = False
    assert depth_mm(mask, SPACING)[2].tolist() == [[6.0] * 10] * 10
