"""Resampling in mm: closed-form volumes and centroids on oblique, anisotropic grids; thin masks."""

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.images import (
    check_same_geometry,
    fraction_outside,
    mm_to_voxel,
    resample_image,
    resample_mask,
    voxel_to_mm,
)


def rotation(axis, degrees) -> np.ndarray:
    axis = np.array(axis, float) / np.linalg.norm(axis)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grid(size, spacing=(1, 1, 1), *, origin=(0, 0, 0), turn=None, dtype=sitk.sitkUInt8):
    image = sitk.Image([int(n) for n in size], dtype)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(o) for o in origin])
    image.SetDirection((np.eye(3) if turn is None else turn).ravel().tolist())
    return image


def places(image) -> np.ndarray:
    """LPS mm of every voxel, (k, j, i, 3)."""
    i, j, k = image.GetSize()
    index = np.stack(np.meshgrid(range(k), range(j), range(i), indexing="ij")[::-1], axis=-1)
    return voxel_to_mm(image, index)


def centerd(size, spacing, turn, center, dtype=sitk.sitkUInt8):
    """A grid whose middle lies at `center`."""
    half = turn @ ((np.array(size) - 1) / 2 * spacing)
    return grid(size, spacing, origin=np.array(center) - half, turn=turn, dtype=dtype)


def filled(image, values):
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    return result


def ball(image, center, radius):
    inside = np.linalg.norm(places(image) - center, axis=-1) <= radius
    return filled(image, inside.astype(np.uint8))


CENTER = np.array([12.0, -30.0, 51.0])
OBLIQUE = rotation([1, 2, 3], 35)


def test_voxel_places_are_simpleitk_s_and_back():
    image = grid((4, 5, 6), (0.5, 0.8, 2), origin=(1, 2, 3), turn=OBLIQUE)
    index = np.array([[0, 0, 0], [3, 4, 5], [1.5, 0.2, -3]])
    for one in index:
        expected = image.TransformContinuousIndexToPhysicalPoint(one.tolist())
        assert voxel_to_mm(image, one) == pytest.approx(expected)
    np.testing.assert_allclose(mm_to_voxel(image, voxel_to_mm(image, index)), index, atol=1e-12)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (0.9, 0.6, 2.5), (1.5, 1.5, 1.5)])
def test_a_ball_keeps_its_volume_and_place_on_an_oblique_anisotropic_grid(spacing):
    radius = 9.0
    mask = ball(
        centerd((60, 60, 40), (0.5, 0.5, 1), rotation([0, 1, 0], 20), CENTER), CENTER, radius
    )
    size = np.ceil(30 / np.array(spacing)).astype(int)
    onto = centerd(size, spacing, OBLIQUE, CENTER + [2, -1, 0.5])
    result = resample_mask(mask, onto)
    check_same_geometry(result, onto)
    assert result.GetPixelID() == sitk.sitkUInt8
    marked = sitk.GetArrayFromImage(result) > 0
    volume = marked.sum() * np.prod(spacing)
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.04)
    np.testing.assert_allclose(places(onto)[marked].mean(axis=0), CENTER, atol=0.1)


def test_a_linear_ramp_is_resampled_exactly():
    """Linear interpolation reproduces a function linear in mm, on any grid inside."""
    slope = np.array([2.0, -3.0, 0.5])
    source = centerd((40, 40, 40), (1, 1.5, 2), rotation([1, 0, 0], 15), CENTER)
    image = filled(source, (places(source) @ slope).astype(np.float32))
    onto = centerd((10, 11, 12), (0.8, 1.1, 2.1), OBLIQUE, CENTER)
    got = sitk.GetArrayFromImage(resample_image(image, onto, outside=-1000))
    np.testing.assert_allclose(got, places(onto) @ slope, atol=1e-3)


def test_outside_the_image_is_the_value_asked_for():
    image = filled(grid((4, 4, 4)), np.full((4, 4, 4), 40, np.int16))
    onto = grid((10, 1, 1), origin=(-3, 1, 1))
    row = sitk.GetArrayFromImage(resample_image(image, onto, outside=-1000.0))[0, 0]
    assert row.tolist() == [-1000.0] * 3 + [40.0] * 4 + [-1000.0] * 3
    assert row.dtype == np.float32


def test_same_grid_changes_nothing():
    mask = ball(centerd((20, 21, 22), (1, 1, 3), OBLIQUE, CENTER), CENTER, 8)
    result = resample_mask(mask, mask)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(mask))


def test_a_mask_that_touches_every_edge_of_its_image_is_kept_whole():
    mask = filled(grid((3, 3, 3)), np.ones((3, 3, 3), np.uint8))
    result = resample_mask(mask, grid((9, 9, 9), origin=(-3, -3, -3)))
    expected = np.zeros((9, 9, 9), int)
    expected[3:6, 3:6, 3:6] = 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), expected)


def test_one_slice_of_a_fine_mask_does_not_vanish_on_a_coarser_grid():
    values = np.zeros((30, 30, 30), np.uint8)
    values[17, 6:24, 3:9] = 1  # z = 17: between the coarse slices at 15 and 20
    mask = filled(grid((30, 30, 30)), values)
    coarse = grid((30, 30, 6), (1, 1, 5))
    result = sitk.GetArrayFromImage(resample_mask(mask, coarse))
    expected = np.zeros((6, 30, 30), int)
    expected[3, 6:24, 3:9] = 1  # 17 lies in the slice that reaches from 12.5 to 17.5
    np.testing.assert_array_equal(result, expected)


def test_a_small_piece_beside_a_large_one_does_not_vanish():
    values = np.zeros((30, 30, 30), np.uint8)
    values[0:15, 0:15, 0:15] = 1
    values[22, 22, 22] = 1
    coarse = grid((6, 6, 6), (5, 5, 5))
    result = sitk.GetArrayFromImage(resample_mask(filled(grid((30, 30, 30)), values), coarse))
    assert result[4, 4, 4] == 1
    assert result.sum() == 3**3 + 1


def test_a_thick_mask_slice_fills_the_thin_slices_that_it_covers():
    """Linear between slices: one 4 mm slice at z = 8 reaches from 6 to 10, both ends included."""
    values = np.zeros((5, 4, 4), np.uint8)
    values[2] = 1
    mask = filled(grid((4, 4, 5), (1, 1, 4)), values)
    result = sitk.GetArrayFromImage(resample_mask(mask, grid((4, 4, 17))))
    assert np.flatnonzero(result.any(axis=(1, 2))).tolist() == [6, 7, 8, 9, 10]


def test_a_mask_outside_is_refused_with_its_distance():
    mask = ball(grid((20, 20, 20), origin=(100, 0, 0)), np.array([110, 10, 10]), 4)
    straight = grid((50, 40, 40))  # its edge lies at 49.5, the ball's first voxel at 106
    with pytest.raises(GeometryError, match=r"outside the image, 56\.5 mm from its edge"):
        resample_mask(mask, straight)
    turned = grid((50, 40, 40), (1, 2, 2), turn=rotation([0, 0, 1], 90))  # j runs along -x: edge 1
    with pytest.raises(GeometryError, match=r"105\.0 mm from its edge"):
        resample_mask(mask, turned)


def test_an_empty_mask_is_refused():
    empty = grid((4, 4, 4))
    for act in (resample_mask, fraction_outside):
        with pytest.raises(ValueError, match="the mask is empty"):
            act(empty, empty)


def test_how_much_of_a_mask_lies_outside():
    values = np.zeros((1, 1, 10), np.uint8)
    values[..., 2:] = 1
    mask = filled(grid((10, 1, 1)), values)
    assert fraction_outside(mask, grid((8, 1, 1), origin=(0.3, 0, 0))) == pytest.approx(2 / 8)
    assert fraction_outside(mask, grid((10, 1, 1))) == 0
    assert fraction_outside(mask, grid((2, 1, 1))) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (4, 5, 7)}, "different sizes"),
        ({"spacing": (0.5, 0.8, 2.1)}, "spacing"),
        ({"origin": (1, 2, 3.1)}, "0.100 mm apart"),
        ({"turn": OBLIQUE @ rotation([0, 0, 1], 2)}, "direction"),
        ({"turn": -OBLIQUE}, "direction"),
    ],
)
def test_geometries_that_differ(change, words):
    same = {"size": (4, 5, 6), "spacing": (0.5, 0.8, 2), "origin": (1, 2, 3), "turn": OBLIQUE}
    size = same.pop("size")
    other = {"size": size, **same, **change}
    a = grid(size, **same)
    check_same_geometry(a, grid(size, **{**same, "origin": (1, 2, 3.0001)}))
    with pytest.raises(GeometryError, match=words):
        check_same_geometry(a, grid(other.pop("size"), **other))


def test_thickness_and_normal_of_a_single_slice_count():
    a = grid((4, 5, 1), (1, 1, 2))
    with pytest.raises(GeometryError):
        check_same_geometry(a, grid((4, 5, 1), (1, 1, 3)))
