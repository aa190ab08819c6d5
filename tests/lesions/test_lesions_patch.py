"""The patch pipeline: each step against its definition, the draws, the mask, the breast's border."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth.errors import GeometryError
from medsynth.lesions import Steps, from_projection
from medsynth.lesions.patch import cut_out, equalized, normalized, taper

PIXEL = 0.25
CENTER = (28.0, 32.0, 0.0)
PLAIN = Steps(equalize=False, normalize=None, taper=False, rotate=False, flip=False, shift_mm=0.0)


def as_image(values, pixel=PIXEL):
    image = sitk.GetImageFromArray(values[None].astype(np.float32))
    image.SetSpacing((pixel, pixel, 1.0))
    return image


def film():
    """A half disc of tissue with a slow gradient, on the left of a black film."""
    row, column = np.indices((260, 300))
    inside = np.hypot(row - 130, column) < 240
    return as_image(np.where(inside, 100 + 0.2 * row, 0.0))


FILM = film()


def source(pixel=0.4):
    """A bright wedge, which no flip or turn maps onto itself, and its mask."""
    row, column = np.indices((160, 160)) - 80.0
    wedge = (np.hypot(row, column) < 20) & (row > -0.4 * column - 8)
    values = 90 + 0.1 * column + np.where(wedge, 60 + row, 0)
    return as_image(values, pixel), as_image(wedge.astype(np.uint8), pixel)


def put(steps=PLAIN, reference=FILM, **changes):
    image, mask = source()
    place = {"center_mm": CENTER, "diameter_mm": 12.0, "seed": 5}
    return from_projection(image, mask, reference=reference, steps=steps, **(place | changes))


def arrays(lesion):
    image, mask = (sitk.GetArrayFromImage(i)[0] for i in (lesion.image, lesion.mask))
    return image, mask > 0


def test_equalization_makes_every_value_as_frequent():
    values = np.random.default_rng(0).normal(0, 1, (40, 40)) ** 3
    ranks = equalized(values)
    np.testing.assert_allclose(np.sort(ranks.ravel()), np.arange(1, 1601) / 1600)
    assert (np.argsort(values.ravel()) == np.argsort(ranks.ravel())).all()
    assert len(np.unique(equalized(np.array([[1.0, 1.0], [2.0, 3.0]])))) == 3


def test_normalization_goes_from_the_lowest_to_the_quantile_of_the_breast():
    lesion = put(replace(PLAIN, equalize=True, normalize="breast"))
    before = sitk.GetArrayFromImage(FILM)[0]
    breast = before[before > 10]
    u = lesion.drawn["quantile"]
    assert 0.975 <= u <= 0.995
    low, high = breast.min(), np.quantile(breast, u)
    np.testing.assert_allclose(lesion.drawn["normalized_to"], [low, high], atol=0.01)
    changed = arrays(lesion)[0][np.abs(arrays(lesion)[0] - before) > 1e-3]
    assert changed.min() >= low - 1e-3
    assert changed.max() == pytest.approx(high, abs=0.5)


@pytest.mark.slow
def test_the_quantile_is_drawn_over_its_range_unless_it_is_given():
    steps = replace(PLAIN, normalize="breast")
    drawn = [put(steps, seed=n).drawn["quantile"] for n in range(12)]
    assert max(drawn) - min(drawn) > 0.008
    assert put(replace(steps, quantile=0.8)).drawn["quantile"] == 0.8


def test_normalization_to_the_patch_looks_only_where_it_goes():
    steps = replace(PLAIN, normalize="patch", quantile=1.0)
    low, high = put(steps).drawn["normalized_to"]
    row = CENTER[1] / PIXEL
    assert low == pytest.approx(100 + 0.2 * (row - 48), abs=1.5)
    assert high == pytest.approx(100 + 0.2 * (row + 48), abs=1.5)


def test_the_taper_is_a_gaussian_that_ends_at_the_edge():
    weight = taper(101)
    assert weight[50, 50] == 1
    np.testing.assert_allclose(weight[50, [0, 100]], 0, atol=1e-9)
    expected = (np.exp(-0.5) - np.exp(-2)) / (1 - np.exp(-2))
    assert weight[50, 75] == pytest.approx(expected, abs=1e-6)
    assert weight[0, 0] == 0
    np.testing.assert_allclose(weight, weight.T[::-1], atol=1e-12)


def test_with_the_taper_nothing_jumps_at_the_patchs_edge():
    before = sitk.GetArrayFromImage(FILM)[0]
    row, column = np.indices(before.shape)
    away = np.hypot(row - CENTER[1] / PIXEL, column - CENTER[0] / PIXEL) * PIXEL
    rim = (away > 11.3) & (away < 11.8)  # the patch reaches 12 mm from its center
    change = {on: np.abs(arrays(put(replace(PLAIN, taper=on)))[0] - before) for on in (False, True)}
    assert np.median(change[False][rim]) > 20
    assert change[True][rim].max() < 3


def test_without_any_step_the_source_is_pasted_as_it_is():
    image, mask = arrays(put())
    origin, marked = source()
    patch = cut_out(origin, marked)
    assert image[mask].mean() == pytest.approx(patch.values[patch.mask > 0.5].mean(), abs=0.7)
    assert mask.sum() * PIXEL**2 == pytest.approx(np.pi * 36, rel=0.03)


@pytest.mark.parametrize(
    ("how", "undo"),
    [
        ({}, lambda a: a),
        ({"mirror": True}, lambda a: a[:, ::-1]),
        ({"mirror": "y"}, lambda a: a[::-1]),
        ({"rotate_deg": 90}, lambda a: np.rot90(a)),
        ({"rotate_deg": 180, "mirror": "x"}, lambda a: a[:, ::-1][::-1, ::-1]),
    ],
)
def test_image_and_mask_are_turned_together(how, undo):
    straight, turned = put(), put(**how)
    row, column = (round(v / PIXEL) for v in (CENTER[1], CENTER[0]))
    window = (slice(row - 30, row + 31), slice(column - 30, column + 31))
    for first, second in zip(arrays(straight), arrays(turned), strict=True):
        difference = np.abs(undo(second[window].astype(float)) - first[window])
        assert (difference > 0.1 * first.max()).mean() < 0.03


@pytest.mark.slow
def test_every_random_step_acts_only_where_it_is_on():
    off = put().drawn
    assert (off["rotated_deg"], off["flipped"], off["shift_mm"]) == (0, [False, False], [0, 0])
    angles = [put(replace(PLAIN, rotate=True), seed=n).drawn["rotated_deg"] for n in range(8)]
    assert max(angles) - min(angles) > 120
    flips = [put(replace(PLAIN, flip=True), seed=n).drawn["flipped"] for n in range(24)]
    assert {tuple(flip) for flip in flips} == {(a, b) for a in (False, True) for b in (False, True)}
    shifts = np.array(
        [put(replace(PLAIN, shift_mm=4.0), seed=n).drawn["shift_mm"] for n in range(12)]
    )
    assert 2 < np.abs(shifts).max() <= 4


def test_the_shift_moves_mask_and_center_alike():
    lesion = put(replace(PLAIN, shift_mm=4.0))
    moved = np.argwhere(arrays(lesion)[1]).mean(axis=0)[::-1] * PIXEL
    np.testing.assert_allclose(moved, np.array(CENTER[:2]) + lesion.drawn["shift_mm"], atol=0.2)
    np.testing.assert_allclose(lesion.drawn["center_mm"][:2], moved, atol=0.2)


def test_what_is_switched_off_changes_no_other_draw():
    everything = Steps()
    full = put(everything).drawn
    fewer = put(replace(everything, flip=False)).drawn
    assert full["rotated_deg"] == fewer["rotated_deg"]
    assert full["shift_mm"] == fewer["shift_mm"]
    assert full["quantile"] == fewer["quantile"]


def test_a_seed_repeats():
    np.testing.assert_array_equal(arrays(put(Steps()))[0], arrays(put(Steps()))[0])


def test_outside_the_breast_nothing_changes():
    lesion = put(replace(PLAIN, normalize="breast"), center_mm=(50.0, 32.0, 0.0))
    before = sitk.GetArrayFromImage(FILM)[0]
    np.testing.assert_array_equal(arrays(lesion)[0][before == 0], 0)


@pytest.mark.slow
def test_a_draw_that_leaves_the_breast_is_drawn_again():
    near = (52.5, 32.0, 0.0)  # the breast ends at 60 mm
    lesions = [put(replace(PLAIN, shift_mm=5.0), center_mm=near, seed=n) for n in range(8)]
    assert max(lesion.drawn["draws"] for lesion in lesions) > 1
    inside = sitk.GetArrayFromImage(FILM)[0] > 10
    for lesion in lesions:
        assert inside[arrays(lesion)[1]].all()


@pytest.mark.slow
def test_a_place_where_no_draw_fits_is_refused_with_the_distance():
    with pytest.raises(
        GeometryError, match=r"leave the breast by [\d.]+ mm \(the last of 20 draws"
    ):
        put(Steps(), center_mm=(60.0, 32.0, 0.0))
    with pytest.raises(GeometryError, match=r"leave the breast by [\d.]+ mm \(the last of 1 draws"):
        put(PLAIN, center_mm=(60.0, 32.0, 0.0))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"normalize": None}, "equalize leaves ranks, not gray values: it needs normalize"),
        ({"normalize": "film"}, "normalize must be breast, patch or None, got 'film'"),
        ({"quantile": 0.2}, "quantile must lie in 0.5 to 1, got 0.2"),
        ({"shift_mm": -1}, "shift_mm must lie in 0 to 30, got -1"),
    ],
)
def test_steps_that_cannot_act_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        Steps(**steps)


def test_an_even_patch_has_nothing_to_take():
    with pytest.raises(ValueError, match="the patch is all 7; there is nothing"):
        normalized(np.full((3, 3), 7.0), 0, 1)


def test_an_empty_mask_is_refused():
    image, mask = source()
    with pytest.raises(ValueError, match=r"mask|empty|marks no"):
        from_projection(image, mask * 0, reference=FILM, center_mm=CENTER, diameter_mm=10)
