"""Where lesions can be put, on made-up anatomies of which every part is known."""

import numpy as np
import pytest

from medsynth import domains
from medsynth.lesions.places import breast, head, lung, radiograph

SPACING = (1.0, 1.0, 3.0)


def oval(shape, center, radii):
    j, i = np.indices(shape)
    return ((j - center[0]) / radii[0]) ** 2 + ((i - center[1]) / radii[1]) ** 2 <= 1


def chest(lung_hu=-850.0):
    """A body with two lungs, a trachea and, in the left lung, a vessel of 8 mm; and the parts."""
    shape = (200, 240)
    body = oval(shape, (100, 120), (80, 110))
    lungs = oval(shape, (100, 70), (60, 35)) | oval(shape, (100, 170), (60, 35))
    trachea = oval(shape, (70, 120), (9, 9))
    vessel = oval(shape, (100, 170), (4, 4))
    values = np.full(shape, -1000.0)
    values[body], values[lungs], values[trachea], values[vessel] = 40, lung_hu, -1000, 40
    values += np.random.default_rng(0).normal(0, 15, shape)
    parts = {"body": body, "lungs": lungs, "trachea": trachea, "vessel": vessel}
    return np.repeat(values[None], 3, axis=0), parts


def overlap(found, expected):
    """Dice."""
    return 2 * (found & expected).sum() / (found.sum() + expected.sum())


@pytest.mark.parametrize("lung_hu", [-850.0, -940.0])
def test_the_lung_is_found_without_the_trachea_however_dark_it_is(lung_hu):
    values, parts = chest(lung_hu)
    found = lung.lung(values, SPACING, -500.0)[1]
    assert overlap(found, parts["lungs"]) > 0.95
    assert not (found & parts["trachea"]).any()


def test_sides_are_the_patients():
    values, parts = chest()
    left, right = (f(values, SPACING, -500.0)[1] for f in (lung.left_lung, lung.right_lung))
    assert left[100, 170] or left[90, 180]
    assert not left[:, :110].any()
    assert right[100, 70]
    assert not right[:, 130:].any()


def test_upper_and_lower_share_the_lung_between_them():
    values, _ = chest()
    upper, lower = (f(values, SPACING, -500.0) for f in (lung.upper_lung, lung.lower_lung))
    assert not (upper & lower).any()
    assert np.array_equal(upper | lower, lung.lung(values, SPACING, -500.0))
    # In front and above counts as upper, behind and below as lower.
    assert upper[2, 60, 70]
    assert lower[0, 140, 70]


def test_vessels_are_found_and_the_chest_wall_is_none():
    values, parts = chest()
    found = lung.vessels(values, SPACING, -500.0)[1]
    assert (found & parts["vessel"]).sum() > 0.5 * parts["vessel"].sum()
    assert not (found & ~oval(found.shape, (100, 170), (8, 8))).any()


def test_the_breast_is_found_without_skin_and_muscle():
    shape = (300, 200)
    inside = oval(shape, (150, 0), (130, 150))
    j, i = np.indices(shape)
    muscle = inside & ((j - 20) / 90 + i / 60 <= 1)
    film = np.where(muscle, 200.0, np.where(inside, 110.0, 0.0))
    found = breast.breast(film[None], SPACING, 10.0)[0]
    assert (found & muscle).sum() < 0.08 * muscle.sum()
    assert found[150, 70]
    assert not found[150, 148]
    assert found.sum() > 0.8 * (inside & ~muscle).sum()


@pytest.mark.parametrize("fluid", [20.0, 240.0])
def test_the_brain_is_found_without_its_ventricles(fluid):
    """Dark in CT and T1, bright in T2."""
    shape = (200, 200)
    skull, inner = oval(shape, (100, 100), (90, 75)), oval(shape, (100, 100), (80, 65))
    ventricles = oval(shape, (90, 88), (22, 6)) | oval(shape, (90, 112), (22, 6))
    plane = np.where(ventricles, fluid, np.where(inner, 110.0, np.where(skull, 255.0, 0.0)))
    found = head.brain_ct(plane[None], SPACING, 10.0)[0]
    assert (found & ventricles).sum() < 0.08 * ventricles.sum()  # their blurred edge
    assert not (found & ~inner).any()
    assert overlap(found, inner & ~ventricles) > 0.93


def film():
    """Dark lungs in a bright body on a black film, with dark air above the shoulders."""
    shape = (256, 256)
    body = oval(shape, (170, 128), (170, 115))
    right, left = oval(shape, (120, 80), (65, 32)), oval(shape, (120, 176), (65, 32))
    values = np.where(right | left, 70.0, np.where(body, 170.0, 20.0))
    return values[None], right | left, left


def test_lung_fields_are_found():
    values, lungs, left = film()
    found = radiograph.lung_fields(values, SPACING, 10.0)[0]
    assert overlap(found, lungs) > 0.9
    assert (found & ~lungs).mean() < 0.01
    only_left = radiograph.left_lung_field(values, SPACING, 10.0)[0]
    assert overlap(only_left, left) > 0.9
    assert not radiograph.right_lung_field(values, SPACING, 10.0)[0][:, 128:].any()


def test_a_film_that_hides_the_lungs_gives_ovals_where_they_surely_are():
    values = np.full((1, 256, 256), 150.0)
    found = radiograph.lung_fields(values, SPACING, 10.0)[0]
    assert 0.05 < found.mean() < 0.2
    assert found[110, 77]
    assert not found[110, 128]


@pytest.mark.parametrize("name", domains.PRESETS)
def test_every_domain_says_where_lesions_can_be_and_finds_nothing_in_nothing(name):
    preset = domains.get(name)
    assert preset.places
    empty = np.full((1, 64, 64), preset.air, dtype=np.float32)
    for region in (*preset.places.values(), *preset.structures.values()):
        assert not region.finder(empty, SPACING, preset.body_threshold).any()
