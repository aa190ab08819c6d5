"""Fitting to a network's grid: scaled, centerd, never stretched, and only once."""

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth.images import fit_to_grid


def film(values, mm=1.0):
    """One slice of (rows, columns) values with square pixels of `mm`."""
    image = sitk.GetImageFromArray(np.asarray(values, np.float32)[None])
    image.SetSpacing((mm, mm, 1.0))
    return image


def disc(rows, columns, center, radius):
    """1 inside a circle given in pixels (row, column), 0 outside."""
    r, c = np.mgrid[:rows, :columns]
    return (((r - center[0]) ** 2 + (c - center[1]) ** 2) <= radius**2).astype(np.float32)


def center_and_extents(values):
    """Center of mass (row, column) and the standard deviations along rows and columns."""
    r, c = np.mgrid[: values.shape[0], : values.shape[1]]
    total = values.sum()
    center = (r * values).sum() / total, (c * values).sum() / total
    spread = [
        np.sqrt((((axis - m) ** 2) * values).sum() / total)
        for axis, m in zip((r, c), center, strict=True)
    ]
    return center, spread


@pytest.mark.parametrize("shape", [(200, 90), (90, 200), (128, 128), (40, 30)])
def test_a_circle_stays_a_circle_of_its_size_in_mm(shape):
    rows, columns = shape
    source = film(disc(rows, columns, (rows / 2 + 3, columns / 2 - 4), 12), mm=0.5)
    fitted = fit_to_grid(source, (64, 64), air=0.0)
    plane = sitk.GetArrayFromImage(fitted)[0]
    _, (down, across) = center_and_extents(plane)
    assert down == pytest.approx(across, rel=0.02)
    # The standard deviation of a uniform disc along an axis is half its radius: 12 * 0.5 mm / 2.
    # Smoothing and linear interpolation widen it by less than a pixel of the grid.
    spacing = fitted.GetSpacing()[0]
    assert down * spacing == pytest.approx(3.0, abs=0.6 * spacing)
    assert fitted.GetSpacing()[1] == spacing


@pytest.mark.parametrize("pixel_mm", [None, 1.5])
def test_every_point_stays_where_it_is_in_the_patient(pixel_mm):
    source = film(disc(150, 80, (40, 55), 6), mm=0.8)
    source.SetOrigin((-20.0, 33.0, 5.0))
    source.SetDirection(sitk.VersorTransform((0.2, 0.5, 0.1), 0.6).GetMatrix())
    fitted = fit_to_grid(source, (96, 64), air=0.0, pixel_mm=pixel_mm)
    (row, column), _ = center_and_extents(sitk.GetArrayFromImage(fitted)[0])
    place = fitted.TransformContinuousIndexToPhysicalPoint((column, row, 0.0))
    expected = source.TransformContinuousIndexToPhysicalPoint((55.0, 40.0, 0.0))
    assert place == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("pixel_mm", [None, 1.5])
def test_the_middle_of_the_image_is_the_middle_of_the_grid(pixel_mm):
    source = film(np.zeros((151, 80)), mm=0.8)
    source.SetOrigin((-20.0, 33.0, 5.0))
    source.SetDirection(sitk.VersorTransform((0.2, 0.5, 0.1), 0.6).GetMatrix())
    fitted = fit_to_grid(source, (96, 64), air=0.0, pixel_mm=pixel_mm)
    middle = fitted.TransformContinuousIndexToPhysicalPoint((31.5, 47.5, 0.0))
    expected = source.TransformContinuousIndexToPhysicalPoint((39.5, 75.0, 0.0))
    assert middle == pytest.approx(expected, abs=1e-6)


def test_it_fills_the_grid_along_one_side_and_pads_the_other_with_air_on_both_ends():
    fitted = fit_to_grid(film(np.full((80, 40), 7.0)), (40, 40), air=-5.0)
    plane = sitk.GetArrayFromImage(fitted)[0]
    inside = plane[:, 10:30]
    assert inside == pytest.approx(np.full((40, 20), 7.0), abs=1e-4)
    assert (plane[:, :10] == -5).all()
    assert (plane[:, 30:] == -5).all()


def test_pixels_have_the_size_asked_for_unless_the_image_would_not_fit():
    fits = fit_to_grid(film(np.ones((60, 40)), mm=0.2), (64, 64), air=0.0, pixel_mm=0.25)
    assert fits.GetSpacing()[:2] == pytest.approx((0.25, 0.25))
    assert (sitk.GetArrayFromImage(fits) > 0.5).sum() == pytest.approx(48 * 32, rel=0.02)
    larger = fit_to_grid(film(np.ones((128, 40)), mm=0.2), (64, 64), air=0.0, pixel_mm=0.25)
    assert larger.GetSpacing()[:2] == pytest.approx((0.4, 0.4))


def test_texture_finer_than_the_grid_becomes_its_mean_and_no_pattern():
    stripes = np.tile([0.0, 200.0], (300, 150))  # a period of two pixels; the grid has a third
    plane = sitk.GetArrayFromImage(fit_to_grid(film(stripes), (100, 100), air=0.0))[0]
    assert np.abs(plane[5:-5, 5:-5] - 100).max() < 6  # without smoothing: 100


def test_detail_that_the_grid_can_hold_is_kept():
    rows = np.arange(256)[:, None]
    waves = 100 * np.sin(2 * np.pi * rows / 32) + np.zeros((256, 256))
    plane = sitk.GetArrayFromImage(fit_to_grid(film(waves), (128, 128), air=0.0))[0]
    # One Gaussian of sigma 0.45 sqrt(2^2 - 1) pixels takes exp(-(2 pi sigma / 32)^2 / 2) = 0.988.
    assert plane[16:-16].max() == pytest.approx(98.8, abs=2)


@pytest.mark.parametrize("shape", [(100, 37), (64, 50), (30, 60)])
@pytest.mark.parametrize("pixel_mm", [None, 0.3, 0.9])
def test_fitting_twice_changes_nothing(shape, pixel_mm):
    rng = np.random.default_rng(1)
    once = fit_to_grid(film(rng.random(shape), mm=0.4), (48, 64), air=0.0, pixel_mm=pixel_mm)
    twice = fit_to_grid(once, (48, 64), air=0.0, pixel_mm=pixel_mm)
    assert twice.GetOrigin() == once.GetOrigin()
    assert (sitk.GetArrayFromImage(twice) == sitk.GetArrayFromImage(once)).all()


def test_an_image_on_the_grid_comes_back_as_it_is():
    source = sitk.Image([16, 12, 3], sitk.sitkInt16)
    assert fit_to_grid(source, (12, 16), air=0.0) is source
    source.SetSpacing((0.25, 0.25, 1))
    assert fit_to_grid(source, (12, 16), air=0.0, pixel_mm=0.25) is source


def test_each_slice_of_a_stack_is_fitted_by_itself():
    rng = np.random.default_rng(2)
    values = rng.random((3, 40, 30)).astype(np.float32)
    stack = sitk.GetImageFromArray(values)
    together = sitk.GetArrayFromImage(fit_to_grid(stack, (32, 32), air=0.0))
    for plane, fitted in zip(values, together, strict=True):
        alone = sitk.GetArrayFromImage(fit_to_grid(film(plane), (32, 32), air=0.0))[0]
        assert fitted == pytest.approx(alone, abs=1e-5)


def test_pixels_that_are_not_square_are_refused_with_a_cure():
    source = film(np.zeros((8, 8)))
    source.SetSpacing((0.5, 0.7, 1.0))
    with pytest.raises(ValueError, match="0.5 x 0.7 mm, expected square ones; resample"):
        fit_to_grid(source, (8, 8), air=0.0)
