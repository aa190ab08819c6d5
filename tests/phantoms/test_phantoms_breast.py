"""The breast phantom: where its parts lie, how dense it is, its spectrum, its control points."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from medsynth import phantoms as anatomy
from medsynth.phantoms.breast.parenchyma import power_law

pytestmark = pytest.mark.slow

NAMES = anatomy.BREAST_LABELS


def arrays(phantom):
    return sitk.GetArrayFromImage(phantom.image)[0], sitk.GetArrayFromImage(phantom.labels)[0]


@pytest.fixture(scope="module")
def left():
    return anatomy.breast(seed=3, view="MLO", laterality="L", density="heterogeneous")


@pytest.fixture(scope="module")
def across():
    return anatomy.breast(seed=3, view="CC", laterality="R", glandular=0.2)


def slope_of(patch, pixel_mm, low, high):
    """beta of power ~ 1 / f^beta between two frequencies in 1/mm."""
    n = len(patch)
    window = np.hanning(n)[:, None] * np.hanning(n)
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n, pixel_mm), np.fft.fftfreq(n, pixel_mm)))
    edges = np.geomspace(low, high, 9)
    bands = [power[(f >= a) & (f < b)].mean() for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return -np.polyfit(np.log(np.sqrt(edges[:-1] * edges[1:])), np.log(bands), 1)[0]


def test_the_texture_has_the_power_law_asked_for():
    field = power_law((256, 256), np.random.default_rng(0), pixel_mm=0.25, longest_mm=60, beta=3)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert slope_of(field, 0.25, 0.1, 1.0) == pytest.approx(3, abs=0.25)


def test_the_tissue_of_a_breast_has_about_that_law(left):
    values, labels = arrays(left)
    n = 160
    room = ndimage.distance_transform_edt(np.isin(labels, (NAMES["fat"], NAMES["glandular"])))
    row, column = np.unravel_index(np.argmax(ndimage.uniform_filter(room, n)), room.shape)
    half = n // 2
    patch = values[row - half : row + half, column - half : column + half]
    assert 2.5 <= slope_of(patch, 0.25, 0.1, 1.0) <= 3.6


def test_a_left_breast_hangs_with_its_chest_wall_left(left):
    values, labels = arrays(left)
    assert left.image.GetSpacing()[:2] == (0.25, 0.25)
    assert values.shape[0] == 832
    assert values.shape[1] % 2 == 0
    assert (labels[:, 0] > 0).mean() > 0.7
    assert (labels[:, -1] == 0).all()


def test_an_oblique_view_shows_the_muscle_above_at_the_wall(left, across):
    _, labels = arrays(left)
    rows, columns = np.nonzero(labels == NAMES["muscle"])
    assert rows.min() == 0
    assert columns.min() == 0
    assert rows.max() < 0.8 * len(labels)
    assert not (arrays(across)[1] == NAMES["muscle"]).any()


def test_a_right_breast_is_the_mirrored_left_one(left):
    right = anatomy.breast(seed=3, view="MLO", laterality="R", density="heterogeneous")
    np.testing.assert_array_equal(arrays(right)[0], arrays(left)[0][:, ::-1])
    np.testing.assert_array_equal(arrays(right)[1], arrays(left)[1][:, ::-1])


def test_the_dense_share_is_the_one_asked_for(left, across):
    for phantom, share in ((left, left.curves.glandular), (across, 0.2)):
        labels = arrays(phantom)[1]
        inside = ~np.isin(labels, (NAMES["air"], NAMES["muscle"]))
        assert (labels == NAMES["glandular"]).sum() / inside.sum() == pytest.approx(share, abs=0.02)
    assert 0.53 <= left.curves.glandular <= 0.7


def test_gray_values_are_those_of_films(left):
    values, labels = arrays(left)
    assert np.array_equal(values, np.rint(values))
    assert values[labels == NAMES["air"]].max() <= 6
    assert 90 <= np.median(values[labels == NAMES["fat"]]) <= 155
    assert 165 <= np.median(values[labels == NAMES["glandular"]]) <= 215
    assert 185 <= np.median(values[labels == NAMES["muscle"]]) <= 230
    assert values.max() < 255
    # Towards the skin the breast is thinner and its image darker.
    depth = ndimage.distance_transform_edt(labels > 0) * 0.25
    middle = labels == NAMES["fat"]
    rim = values[middle & (depth > 2) & (depth < 5)].mean()
    assert rim < 0.75 * values[middle & (depth > 25)].mean()


def test_a_seed_repeats_and_another_differs():
    first, again, other = (anatomy.breast_shape(seed=n) for n in (8, 8, 9))
    np.testing.assert_array_equal(first.outline, again.outline)
    assert not np.allclose(first.outline, other.outline)


def test_giving_one_value_moves_no_other():
    free, given = anatomy.breast_shape(seed=8), anatomy.breast_shape(seed=8, glandular=0.5)
    np.testing.assert_array_equal(free.outline, given.outline)
    assert given.glandular == 0.5


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_control_points_come_back_and_can_be_edited(tmp_path, suffix):
    shape = anatomy.breast_shape(seed=4)
    path = tmp_path / f"breast{suffix}"
    anatomy.save_control_points(shape, path)
    read = anatomy.breast_shape_of(control_points=path)
    np.testing.assert_allclose(read.outline, shape.outline, atol=1e-3)
    np.testing.assert_allclose(read.pectoral, shape.pectoral, atol=1e-3)
    assert (read.view, read.density, read.seed) == (shape.view, shape.density, shape.seed)
    path.write_text(path.read_text().replace(str(shape.glandular), "0.9"))
    assert anatomy.breast_shape_of(control_points=path).glandular == 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("medsynth-breast-control-points", "other"), "is not a control point file of a breast"),
        (("version: 1", "version: 2"), "has version 2, expected 1"),
        (("view: MLO", "view: XX"), "view must be one of MLO, CC, got 'XX'"),
        (("nipple_mm:", "nipple:"), "unexpected keyword argument 'nipple'"),
        (("outline:", "outline: 3\nmore:"), "outline|more"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_refused(tmp_path, change, message):
    path = tmp_path / "breast.yaml"
    anatomy.save_control_points(anatomy.breast_shape(seed=4), path)
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(ValueError, match=message):
        anatomy.breast_shape_of(control_points=path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "ML"}, "view must be one of MLO, CC, got 'ML'"),
        ({"density": "d"}, "density must be one of fatty, "),
        ({"nipple_mm": 200}, "nipple_mm must be a number from 55 to 115, got 200"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"heart": 1.2}, "unknown option of phantom 'breast' 'heart'"),
    ],
)
def test_impossible_breasts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        anatomy.build("breast", **options)
