"""Masses and microcalcifications in films: contrast, size, place, specks, refusals."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from medsynth import lesions as pathology
from medsynth.domains import get
from medsynth.errors import GeometryError
from medsynth.lesions.mammogram import PARTICLE_MM, exposed

TISSUE = 120.0
PIXEL = 0.25


def film(size=(260, 300), tissue=TISSUE, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    """A half disc of even tissue on the left of a black film, (H, W)."""
    row, column = np.indices(size)
    values = np.where(np.hypot(row - size[0] / 2, column) < 240, tissue, 0.0)
    image = sitk.GetImageFromArray(values[None].astype(np.float32))
    image.SetSpacing((PIXEL, PIXEL, 1.0))
    image.SetDirection(direction)
    return image


FILM = film()
CENTER = (28.0, 32.0, 0.0)


def draw(kind, image=FILM, **changes):
    place = {"center_mm": CENTER, "diameter_mm": 12.0, "seed": 3, "body_threshold": 10}
    return pathology.procedural(kind, reference=image, **(place | changes))


def arrays(lesion):
    image, mask = (sitk.GetArrayFromImage(i)[0] for i in (lesion.image, lesion.mask))
    return image, mask > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", get("mammography").lesion_kinds)
def test_a_seed_repeats_and_another_differs(kind):
    first, again, other = (arrays(draw(kind, seed=n))[0] for n in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 5


@pytest.mark.parametrize("kind", get("mammography").lesion_kinds)
@pytest.mark.parametrize("diameter", [6.0, 14.0])
def test_the_mask_has_the_size_and_place_asked_for(kind, diameter):
    lesion = draw(kind, diameter_mm=diameter, lobulation=0.1, elongation=1.3)
    assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(diameter, rel=0.03)
    middle = np.argwhere(arrays(lesion)[1]).mean(axis=0)[::-1] * PIXEL
    np.testing.assert_allclose(middle, CENTER[:2], atol=0.12 * diameter)


@pytest.mark.parametrize("kind", ["round_mass", "spiculated_mass"])
def test_the_middle_of_a_mass_stands_out_by_its_contrast(kind):
    image, mask = arrays(draw(kind, contrast=40, diameter_mm=14, margin_mm=1.0))
    depth = ndimage.distance_transform_edt(mask)
    inner = image[depth > 0.8 * depth.max()].mean() - TISSUE
    assert inner == pytest.approx(40, abs=5)


def test_a_round_mass_ends_at_its_margin_and_a_spiculated_one_goes_on():
    beyond = {}
    for kind in ("round_mass", "spiculated_mass"):
        image, mask = arrays(draw(kind, contrast=40, margin_mm=0.5, lobulation=0.0, elongation=1))
        away = ndimage.distance_transform_edt(~mask) * PIXEL
        beyond[kind] = (np.abs(image - TISSUE) > 3)[(away > 1.5) & (away < 4)].mean()
    assert beyond["round_mass"] == 0
    assert 0.1 < beyond["spiculated_mass"] < 0.8


@pytest.mark.parametrize(("margin", "wider"), [(0.3, 0.8), (3.0, 1.6)])
def test_the_edge_blurs_over_the_margin(margin, wider):
    image, _ = arrays(
        draw("round_mass", contrast=50, margin_mm=margin, lobulation=0.0, elongation=1.0)
    )
    profile = image[int(CENTER[1] / PIXEL), int(CENTER[0] / PIXEL) :] - TISSUE
    fall = np.flatnonzero(profile > 0.6 * 50)[-1], np.flatnonzero(profile > 0.1 * 50)[-1]
    width = (fall[1] - fall[0]) * PIXEL
    assert width <= wider + 0.5 if margin < 1 else width >= wider


def test_brighter_tissue_gains_less_and_nothing_passes_white():
    before = np.array([60.0, 120.0, 200.0, 250.0])
    after, warnings = exposed(before, np.full(4, 40.0), tissue=120.0, contrast=40)
    gained = after - before
    assert gained[1] == pytest.approx(40, abs=1e-4)
    assert (np.diff(gained) < 0).all()
    assert after.max() < 255
    assert warnings == ()
    _, warnings = exposed(before, np.full(4, 100.0), tissue=200.0, contrast=100)
    assert "contrast 100 does not fit above tissue of 200; it became 50" in warnings[0]


@pytest.mark.parametrize("form", ["punctate", "pleomorphic", "linear", "amorphous"])
def test_a_cluster_has_the_specks_it_lists(form):
    lesion = draw("microcalcifications", count=14, size_mm=0.4, contrast=80, morphology=form)
    particles = lesion.drawn["particles"]
    assert len(particles) == 14
    sizes = [p["size_mm"] for p in particles]
    assert PARTICLE_MM[0] <= min(sizes) < max(sizes) <= PARTICLE_MM[1]
    image, mask = arrays(lesion)
    added = image - TISSUE
    peaks = ndimage.maximum_filter(added, 3)
    for particle in particles:
        column, row = np.rint(np.array(particle["position_mm"][:2]) / PIXEL).astype(int)
        assert peaks[row, column] > (2 if form == "amorphous" else 5), particle
        assert ndimage.binary_dilation(mask, iterations=2)[row, column]
    assert lesion.scattered
    assert (added[mask] < 1).mean() > 0.5


def test_larger_specks_are_brighter():
    added = [
        (
            arrays(draw("microcalcifications", size_mm=size, morphology="punctate", contrast=60))[0]
        ).max()
        - TISSUE
        for size in (0.15, 0.3, 0.5)
    ]
    assert added[0] < added[1] < added[2]


@pytest.mark.slow
def test_linear_specks_lie_along_lines():
    """Seen along its main axis a duct is narrow; specks anywhere in the outline are not."""
    flatness = {}
    for form in ("linear", "punctate"):
        ratios = []
        for seed in range(6):
            options = {"count": 24, "seed": seed, "lobulation": 0.05, "elongation": 1.0}
            lesion = draw("microcalcifications", morphology=form, **options)
            places = np.array([p["position_mm"][:2] for p in lesion.drawn["particles"]])
            spread = np.linalg.eigvalsh(np.cov(places.T))
            ratios.append(spread[0] / spread[1])
        flatness[form] = np.mean(ratios)
    assert flatness["linear"] < 0.6 * flatness["punctate"]


def test_a_painted_region_gives_the_outline():
    region = np.zeros((1, 260, 300), np.uint8)
    region[0, 90:150, 80:120] = 1
    roi = sitk.GetImageFromArray(region)
    roi.CopyInformation(FILM)
    lesion = draw("round_mass", center_mm=None, diameter_mm=None, roi=roi)
    mask = arrays(lesion)[1]
    overlap = 2 * (mask & (region[0] > 0)).sum() / (mask.sum() + region.sum())
    assert overlap > 0.93


def test_another_orientation_of_the_film_changes_nothing():
    turned = film(direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))
    center = turned.TransformContinuousIndexToPhysicalPoint((112.0, 128.0, 0.0))
    mask = arrays(draw("round_mass", turned, center_mm=center))[1]
    middle = np.argwhere(mask).mean(axis=0)
    np.testing.assert_allclose(middle, (128, 112), atol=4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"center_mm": (58.0, 32.0, 0.0)}, GeometryError, r"leave the breast by \d"),
        ({"center_mm": (2.0, 32.0, 0.0)}, GeometryError, r"leave the image by \d"),
        ({"count": 2}, ValueError, "count of a microcalcifications lesion must be a number from 3"),
        ({"morphology": "round"}, ValueError, "morphology 'round' is unknown"),
        ({"spicules": 4}, ValueError, "unknown option 'spicules'"),
    ],
)
def test_impossible_lesions_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        draw("microcalcifications", **changes)


def test_a_volume_is_no_film():
    stack = sitk.JoinSeries([FILM[:, :, 0], FILM[:, :, 0]])
    with pytest.raises(ValueError, match="drawn into one mammogram, the reference has 2"):
        draw("round_mass", stack)
