"""The curves and the painter against closed forms."""

import numpy as np
import pytest

from medsynth.phantoms import ClosedCurves, Layer, Organ, Tree, Tube, splines
from medsynth.phantoms.paint import Painter, Plane, fill_discs, fill_polygon


def circle(radius: float, count: int = 16, center: tuple[float, float] = (0, 0)) -> np.ndarray:
    angle = np.arange(count) * 2 * np.pi / count
    return np.column_stack([np.cos(angle), np.sin(angle)]) * radius + np.array(center)


def area(polygon: np.ndarray) -> float:
    following = np.roll(polygon, -1, axis=0)
    return 0.5 * float(np.sum(polygon[:, 0] * following[:, 1] - following[:, 0] * polygon[:, 1]))


def test_a_closed_spline_passes_through_the_points_it_was_made_for():
    points = np.random.default_rng(0).normal(size=(9, 2))
    curve = splines.closed_basis(9, 90) @ splines.closed_control_through(points)
    np.testing.assert_allclose(curve[::10], points, atol=1e-12)


def test_a_control_point_moves_only_its_own_neighborhood():
    control = circle(10, 12)
    moved = control.copy()
    moved[6] += 3
    change = np.abs(splines.closed_basis(12, 120) @ (moved - control)).sum(axis=1)
    touched = np.flatnonzero(change > 1e-12)
    assert touched.min() >= 40 + 1  # two spans of ten samples on either side of sample 60
    assert touched.max() <= 80 - 1
    assert change.argmax() == 60


def test_an_open_spline_starts_and_ends_on_its_ends_and_passes_through():
    points = np.random.default_rng(1).normal(size=(7, 3))
    control = splines.open_control_through(points)
    curve = splines.open_basis(7, 50) @ control
    np.testing.assert_allclose(curve[[0, -1]], points[[0, -1]], atol=1e-12)
    dense = splines.open_basis(7, 4001) @ control
    gaps = [np.linalg.norm(dense - point, axis=1).min() for point in points]
    assert max(gaps) < 5e-3


def test_between_levels_a_contour_stays_between_them():
    radius = splines.between_levels(np.array([0.0, 10, 20]), np.array([5.0, 9, 9]))
    values = radius(np.linspace(-5, 25, 61))
    assert values.min() == 5
    assert values.max() == 9
    assert np.all(np.diff(values) >= 0)


@pytest.mark.parametrize("radius", [1.3, 7.0, 40.0])
def test_a_filled_circle_has_its_area_and_its_center(radius):
    # A fine polygon's pixel count is its area up to the lattice's error, without a one-sided bias.
    center = (60.3, 55.7)
    polygon = circle(radius, 720, center)
    patch = fill_polygon(polygon, (120, 110))
    rows, columns = np.nonzero(patch.inside)
    assert patch.inside.sum() == pytest.approx(np.pi * radius**2, abs=2.5 * radius**0.7)
    assert columns.mean() + patch.columns.start == pytest.approx(center[0], abs=0.25)
    assert rows.mean() + patch.rows.start == pytest.approx(center[1], abs=0.25)


def test_a_polygon_covers_exactly_the_pixel_centers_inside_it():
    square = np.array([[1.5, 2.5], [6.5, 2.5], [6.5, 5.5], [1.5, 5.5]])
    patch = fill_polygon(square, (10, 10))
    painted = np.zeros((10, 10), bool)
    painted[patch.rows, patch.columns] = patch.inside
    expected = np.zeros((10, 10), bool)
    expected[3:6, 2:7] = True
    np.testing.assert_array_equal(painted, expected)


def test_a_polygon_beyond_the_plane_is_cut_or_nothing():
    assert fill_polygon(circle(5, 16, (-20, 5)), (10, 10)) is None
    patch = fill_polygon(circle(500, 64, (5, 5)), (10, 10))
    assert patch.inside.all()
    assert patch.inside.shape == (10, 10)


def test_a_dent_is_not_filled():
    ring = np.concatenate([circle(20, 90, (30, 30)), circle(10, 90, (30, 30))[::-1]])
    patch = fill_polygon(ring, (60, 60))
    painted = np.zeros((60, 60), bool)
    painted[patch.rows, patch.columns] = patch.inside
    assert not painted[30, 30]
    assert painted[30, 45]


def test_discs_cover_pixels_within_their_radius_in_mm():
    plane = Plane((0.0, 0.0), (0.5, 2.0), (100, 30))
    patch = fill_discs(np.array([[25.0, 30.0, 8.0]]), plane)
    painted = np.zeros((30, 100), bool)
    painted[patch.rows, patch.columns] = patch.inside
    y, x = np.mgrid[:30, :100]
    expected = (x * 0.5 - 25) ** 2 + (y * 2.0 - 30) ** 2 <= 64
    np.testing.assert_array_equal(painted, expected)


def test_many_discs_are_the_union_of_each():
    plane = Plane((0.0, 0.0), (0.5, 0.7), (100, 60))
    generator = np.random.default_rng(1)
    discs = np.column_stack(
        [
            generator.uniform(-5, 55, 400),
            generator.uniform(-5, 47, 400),
            generator.uniform(0, 3, 400),
        ]
    )
    # Edges that lie on centers of pixels, and a disc that covers none.
    discs = np.vstack([discs, [[25.0, 21.0, 3.5], [10.0, 14.0, 0.5], [10.25, 14.35, 0.1]]])
    patch = fill_discs(discs, plane)
    painted = np.zeros((60, 100), bool)
    painted[patch.rows, patch.columns] = patch.inside
    y, x = np.mgrid[:60, :100]
    expected = np.zeros((60, 100), bool)
    for disc_x, disc_y, radius in discs:
        expected |= (x * 0.5 - disc_x) ** 2 + (y * 0.7 - disc_y) ** 2 <= radius**2
    # A pixel whose center lies on an edge may fall on either side of it by rounding.
    differing = np.argwhere(painted != expected) * (0.7, 0.5)
    for at_y, at_x in differing:
        off = np.hypot(discs[:, 0] - at_x, discs[:, 1] - at_y) - discs[:, 2]
        assert np.abs(off).min() < 1e-9


def test_a_disc_between_pixels_covers_nothing():
    patch = fill_discs(np.array([[10.25, 10.25, 0.2]]), Plane((0.0, 0.0), (0.5, 0.5), (60, 60)))
    assert patch is not None
    assert not patch.inside.any()


def covered_mm3(piece, inset_mm: float = 0.0) -> float:
    """Volume that a painter covers, by slices of 0.25 mm and pixels of 0.2 mm."""
    painter = Painter(Organ("muscle", (Layer(0.0),), (piece,)))
    plane = Plane((-30.0, -30.0), (0.2, 0.2), (301, 301))
    total = 0
    for z in np.arange(-40, 40, 0.25) + 0.125:
        painted = np.zeros((301, 301), bool)
        for patch in painter.patches(z, inset_mm, plane):
            painted[patch.rows, patch.columns] |= patch.inside
        total += painted.sum()
    return total * 0.2 * 0.2 * 0.25


def test_a_tube_has_the_volume_of_a_capsule():
    tube = Tube([(0, 0, -15), (0, 0, 15)], 4.0)
    capsule = np.pi * 16 * 30 + 4 / 3 * np.pi * 64
    assert covered_mm3(tube) == pytest.approx(capsule, rel=0.02)
    assert covered_mm3(tube, 1.0) == pytest.approx(np.pi * 9 * 30 + 4 / 3 * np.pi * 27, rel=0.02)


def test_a_band_is_as_tall_as_its_half_height_says():
    rib = Tube([(-15, 0, 0), (15, 0, 0)], 3.0, half_height_mm=7.0)
    assert rib.z_range_mm == (-7, 7)
    stadium = 2 * 3 * 8 + np.pi * 9  # its section across x
    assert covered_mm3(rib) > stadium * 30
    assert covered_mm3(rib) == pytest.approx(stadium * 30 + np.pi * 9 * 8 + 36 * np.pi, rel=0.02)


def test_an_inset_contour_loses_its_rim():
    tower = ClosedCurves([-10, 10], np.stack([splines.closed_control_through(circle(12))] * 2))
    assert covered_mm3(tower) == pytest.approx(np.pi * 144 * 20, rel=0.01)
    assert covered_mm3(tower, 2.0) == pytest.approx(np.pi * 100 * 16, rel=0.02)


def test_a_tree_tapers_from_node_to_node():
    tree = Tree([(0, 0, -15), (0, 0, 15)], [0, 0], [5.0, 2.0])
    cone = np.pi * 30 / 3 * (25 + 10 + 4)
    caps = 2 / 3 * np.pi * (125 + 8)
    assert covered_mm3(tree) == pytest.approx(cone + caps, rel=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClosedCurves([0.0], np.zeros((1, 4, 2))), "at least two rising"),
        (lambda: ClosedCurves([0.0, 0.0], np.zeros((2, 4, 2))), "rising"),
        (lambda: ClosedCurves([0.0, 1.0], np.zeros((2, 3, 2))), "at least 4 points"),
        (lambda: ClosedCurves([0.0, 1.0], np.full((2, 4, 2), np.nan)), "finite"),
        (lambda: Tube([(0, 0, 0)], 1.0), "at least 2"),
        (lambda: Tube([(0, 0, 0), (1, 1, 1)], 0.0), "above 0"),
        (lambda: Tree([(0, 0, 0), (1, 0, 0)], [1, 0], [1.0, 1.0]), "parent must come before"),
    ],
)
def test_geometry_that_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
