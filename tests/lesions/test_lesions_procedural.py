"""Drawn lesions: size and place in mm, HU as the kind says, refusals with distances."""

import numpy as np
import pytest
import SimpleITK as sitk
from pathology_chest import LUNG_HU, OBLIQUE, VESSEL_HU, array, center_of, chest, place
from scipy import ndimage

from medsynth import lesions as pathology
from medsynth.domains import get
from medsynth.errors import GeometryError

KINDS = get("lung_ct").lesion_kinds
GRIDS = {
    "axial": {},
    "oblique": {"direction": OBLIQUE, "spacing": (1.2, 1.6, 3.0), "size": (200, 112, 30)},
    "thick": {"spacing": (1.0, 1.0, 5.0), "size": (230, 170, 14)},
}
IN_LUNG = (-50.0, 6.0, 1.0)


def draw(kind, reference, *, at=IN_LUNG, diameter_mm=14.0, **options):
    return pathology.procedural(
        kind,
        reference=reference,
        center_mm=place(reference, *at),
        diameter_mm=diameter_mm,
        **options,
    )


@pytest.fixture(scope="module")
def axial():
    return chest()


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_measures_what_was_asked(kind, grid):
    reference = chest(**GRIDS[grid])
    lesion = draw(kind, reference, diameter_mm=16.0, seed=4)
    voxels = array(lesion.mask).sum()
    volume = voxels * np.prod(reference.GetSpacing())
    assert (6 * volume / np.pi) ** (1 / 3) == pytest.approx(16, rel=0.05)
    assert lesion.drawn["measured_diameter_mm"] == pytest.approx(16, rel=0.05)
    assert np.linalg.norm(center_of(lesion.mask) - place(reference, *IN_LUNG)) < 2.0
    assert lesion.warnings == ()
    assert lesion.kind == kind
    for image in (lesion.image, lesion.mask):
        assert image.GetDirection() == reference.GetDirection()
        assert image.GetOrigin() == reference.GetOrigin()
        assert image.GetSpacing() == reference.GetSpacing()
    assert lesion.image.GetPixelID() == sitk.sitkFloat32
    assert lesion.mask.GetPixelID() == sitk.sitkUInt8


@pytest.mark.parametrize("diameter_mm", [4.0, 8.0, 30.0])
def test_small_and_large_ones_too(axial, diameter_mm):
    lesion = draw("solid", axial, diameter_mm=diameter_mm)
    assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(diameter_mm, rel=0.1)


@pytest.mark.slow
def test_a_knobbly_outline_keeps_its_volume(axial):
    for seed in range(3):
        lesion = draw("solid", axial, diameter_mm=20.0, lobulation=0.35, seed=seed)
        assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(20, rel=0.02)


@pytest.mark.slow
def test_an_oval_nodule_is_oval_in_mm():
    """The longest to the shortest principal axis of the mask is the elongation."""
    for grid in GRIDS.values():
        reference = chest(**grid)
        lesion = draw("solid", reference, diameter_mm=20.0, elongation=2.0, lobulation=0.0)
        index = np.argwhere(array(lesion.mask))[:, ::-1]
        axes = np.linalg.eigvalsh(np.cov((index * reference.GetSpacing()).T))
        assert np.sqrt(axes[2] / axes[:2].mean()) == pytest.approx(2, rel=0.1)


def test_a_ball_is_as_tall_as_it_is_wide_in_thick_slices():
    """14 mm at 3 mm slices: about five slices, and 14 mm in the plane."""
    reference = chest(spacing=(1.0, 1.0, 3.0), size=(230, 170, 30))
    lesion = draw("solid", reference, at=(-50, 6, 1.5), lobulation=0.0, elongation=1.0)
    mask = array(lesion.mask)
    k, j, i = (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    assert len(k) == 5
    assert np.ptp(j) + 1 == pytest.approx(14, abs=1)
    assert np.ptp(i) + 1 == pytest.approx(14, abs=1)


def test_an_outline_is_round_only_when_asked():
    from medsynth.lesions.outline import Ball

    def radii(lobulation, elongation):
        ball = Ball(
            np.zeros(3),
            20,
            lobulation=lobulation,
            elongation=elongation,
            generator=np.random.default_rng(1),
        )
        return np.linalg.norm(ball.surface_points(), axis=1)

    np.testing.assert_allclose(radii(0.0, 1.0), 10)
    oval = radii(0.0, 1.5)
    assert oval.max() / oval.min() == pytest.approx(1.5, rel=0.02)
    assert radii(0.2, 1.0).std() > 0.8


def core_hu(lesion) -> np.ndarray:
    """HU two voxels inside the mask, free of partial volume."""
    inner = ndimage.binary_erosion(array(lesion.mask) > 0, iterations=2)
    return array(lesion.image)[inner]


@pytest.mark.slow
def test_solid_and_spiculated_are_soft_tissue(axial):
    for kind in ("solid", "spiculated"):
        lesion = draw(kind, axial, diameter_mm=18.0, seed=2)
        assert 20 <= lesion.drawn["hu"] <= 60
        assert core_hu(lesion).mean() == pytest.approx(lesion.drawn["hu"], abs=6)
        assert lesion.drawn["mean_hu"] > LUNG_HU + 600


@pytest.mark.slow
def test_ground_glass_is_haze(axial):
    lesion = draw("ground_glass", axial, diameter_mm=18.0, seed=2)
    assert -750 < core_hu(lesion).mean() < -300
    assert core_hu(lesion).mean() == pytest.approx(lesion.drawn["hu"], abs=25)
    assert core_hu(lesion).max() < -250
    given = draw("ground_glass", axial, diameter_mm=18.0, seed=2, hu=-400)
    assert core_hu(given).mean() == pytest.approx(-400, abs=25)


@pytest.mark.slow
def test_a_vessel_is_seen_through_ground_glass_and_not_through_a_solid_nodule():
    reference = chest(vessel_radius_mm=4.0)
    vessel = array(reference) == VESSEL_HU
    haze = draw("ground_glass", reference, at=(-52, 6, 0), diameter_mm=20.0, seed=1)
    inside = vessel & ndimage.binary_erosion(array(haze.mask) > 0, iterations=2)
    assert inside.sum() > 10
    np.testing.assert_allclose(array(haze.image)[inside], VESSEL_HU, atol=8.0)
    around = ndimage.binary_erosion(array(haze.mask) > 0, iterations=2) & ~vessel
    contrast = array(haze.image)[inside].mean() - array(haze.image)[around].mean()
    assert contrast > 450
    solid = draw("solid", reference, at=(-52, 6, 0), diameter_mm=20.0, seed=1)
    assert np.abs(array(solid.image)[inside].mean() - array(solid.image)[around].mean()) < 40


@pytest.mark.slow
def test_part_solid_has_a_core_in_a_halo(axial):
    lesion = draw("part_solid", axial, diameter_mm=24.0, seed=3, core_fraction=0.5)
    mask = array(lesion.mask) > 0
    hu = array(lesion.image)
    core = mask & (hu > -150)
    core_mm = (6 * core.sum() * np.prod(axial.GetSpacing()) / np.pi) ** (1 / 3)
    assert core_mm == pytest.approx(12, rel=0.15)
    assert np.median(hu[core]) == pytest.approx(lesion.drawn["core_hu"], abs=25)
    halo = ndimage.binary_erosion(mask, iterations=2)
    halo &= ndimage.distance_transform_edt(~core, sampling=axial.GetSpacing()[::-1]) > 3.5
    assert halo.sum() > 20
    assert hu[halo].mean() == pytest.approx(lesion.drawn["hu"], abs=50)


@pytest.mark.slow
def test_spicules_stand_out_beyond_the_mask(axial):
    far = ~ndimage.binary_dilation(array(draw("solid", axial).mask) > 0, iterations=3)

    def beyond(kind, **options):
        change = array(draw(kind, axial, **options).image) - array(axial)
        return np.count_nonzero((change > 60) & far)

    assert beyond("solid") == 0
    few = beyond("spiculated", spicules=5, pleural_tags=0)
    many = beyond("spiculated", spicules=50, pleural_tags=0)
    assert few > 0
    assert many > 2 * few
    assert beyond("spiculated", pleural_tags=0, spicule_length_mm=1.0) < few


@pytest.mark.slow
def test_a_pleural_tag_reaches_the_pleura(axial):
    """The nearest wall of the lung is 15 mm from this nodule's center."""
    near_wall = (-77.0, 0.0, 0.0)
    plain = draw("spiculated", axial, at=near_wall, diameter_mm=10.0, pleural_tags=0)
    tagged = draw("spiculated", axial, at=near_wall, diameter_mm=10.0, pleural_tags=3)
    assert plain.drawn["pleural_tags_drawn"] == 0
    assert tagged.drawn["pleural_tags_drawn"] == 3
    added = np.argwhere((array(tagged.image) - array(plain.image)) > 100)
    wall = ndimage.binary_dilation(array(axial) == 50.0)
    assert wall[tuple(added.T)].any()


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["central", "diffuse", "laminated", "popcorn"])
def test_calcium_follows_its_pattern(axial, pattern):
    lesion = draw(
        "calcified", axial, diameter_mm=20.0, seed=5, pattern=pattern, calcium_hu=600, hu=50
    )
    hu = array(lesion.image)
    mask = array(lesion.mask) > 0
    calcium = mask & (hu > 200)
    share = calcium.sum() / mask.sum()
    low, high = {
        "central": (0.08, 0.3),
        "diffuse": (0.75, 1.0),
        "laminated": (0.25, 0.8),
        "popcorn": (0.08, 0.6),
    }[pattern]
    assert low < share < high
    assert np.percentile(hu[calcium], 90) > 400
    center = lesion.image.TransformPhysicalPointToIndex(place(axial, *IN_LUNG))[::-1]
    if pattern != "popcorn":
        assert hu[center] > 400
    assert (array(draw("solid", axial, diameter_mm=20.0, seed=5).image)[mask] < 200).all()


@pytest.mark.slow
def test_all_but_the_lesion_stays_and_the_reference_too(axial):
    before = array(axial)
    lesion = draw("ground_glass", axial)
    change = array(lesion.image) != before
    reach = ndimage.binary_dilation(array(lesion.mask) > 0, iterations=4)
    assert change.any()
    assert not (change & ~reach).any()
    np.testing.assert_array_equal(array(axial), before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_bit_for_bit_and_another_differs(kind, axial):
    one, again, other = (draw(kind, axial, seed=seed) for seed in (8, 8, 9))
    np.testing.assert_array_equal(array(one.image), array(again.image))
    np.testing.assert_array_equal(array(one.mask), array(again.mask))
    assert one.drawn == again.drawn
    assert np.any(array(one.image) != array(other.image))
    assert np.any(array(one.mask) != array(other.mask))


@pytest.mark.slow
def test_a_given_option_changes_no_other(axial):
    drawn = draw("spiculated", axial, seed=8).drawn
    given = draw("spiculated", axial, seed=8, hu=55.0).drawn
    assert given["hu"] == 55.0
    for name in ("lobulation", "elongation", "spicules", "pleural_tags", "spicule_length_mm"):
        assert given[name] == drawn[name]


def painted(reference, radii=(14.0, 9.0, 8.0), at=IN_LUNG):
    """An ellipsoid painted on the reference's grid."""
    index = np.stack(np.meshgrid(*map(np.arange, reference.GetSize()), indexing="ij"), -1)
    matrix = np.reshape(reference.GetDirection(), (3, 3)) * reference.GetSpacing()
    offset = index @ matrix.T + reference.GetOrigin() - place(reference, *at)
    along = offset @ np.reshape(reference.GetDirection(), (3, 3))
    inside = (np.sum((along / radii) ** 2, axis=-1) < 1).transpose(2, 1, 0)
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    mask.CopyInformation(reference)
    return mask


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_painted_region_is_filled(kind):
    reference = chest(**GRIDS["oblique"])
    roi = painted(reference)
    lesion = pathology.procedural(kind, reference=reference, roi=roi, seed=1)
    a, b = array(lesion.mask) > 0, array(roi) > 0
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9
    assert a.sum() == pytest.approx(b.sum(), rel=0.05)
    change = array(lesion.image)[b].mean() - array(reference)[b].mean()
    assert change > (120 if kind == "ground_glass" else 200)


@pytest.mark.slow
def test_a_region_painted_on_another_grid(axial):
    oblique = chest(**GRIDS["oblique"])
    roi = painted(oblique, radii=(9, 9, 9), at=(-45, 0, 0))
    lesion = pathology.procedural("solid", reference=axial, roi=roi)
    assert np.linalg.norm(center_of(lesion.mask) - center_of(roi)) < 0.7
    assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(18, rel=0.05)


@pytest.mark.slow
def test_a_single_slice_takes_the_section_through_the_center():
    reference = chest(spacing=(1.0, 1.0, 3.0), size=(230, 170, 1))
    for kind in KINDS:
        lesion = draw(kind, reference, at=(-50, 6, 0.5), seed=3)
        assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(14, rel=0.01)
        assert array(lesion.image)[array(lesion.mask) > 0].mean() > LUNG_HU + 150
    flat = pathology.procedural(
        "solid", reference=reference, roi=painted(reference, (10, 10, 10), (-50, 0, 0))
    )
    assert pathology.mask_diameter_mm(flat.mask) == pytest.approx(20, rel=0.05)
    with pytest.raises(GeometryError, match=r"leave the image by 2\.5 mm"):
        draw("solid", reference, at=(-50, 6, 4.0))


@pytest.mark.slow
@pytest.mark.parametrize("diameter_mm", [8.0, 12.0, 20.0, 30.0])
@pytest.mark.parametrize("thick_mm", [1.0, 5.0])
def test_a_single_slice_shows_the_area_that_was_asked(thick_mm, diameter_mm):
    """However oval it is and however thick the slice; its spicules are strands, not a rim."""
    reference = chest(spacing=(0.7, 0.7, thick_mm), size=(329, 243, 1))
    seen = []
    for seed in range(3):
        options = {"diameter_mm": diameter_mm, "seed": seed, "pleural_tags": 0}
        lesion = draw("spiculated", reference, at=(-50, 6, 0.3), **options)
        mask = array(lesion.mask)[0] > 0
        assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(diameter_mm, rel=0.01)
        change = (array(lesion.image) - array(reference))[0]
        # Thick slices hold a strand in part only.
        assert (change > 150)[~ndimage.binary_dilation(mask, iterations=3)].any()
        dense = change > 400
        # What a disc of 1.5 mm radius fits into: an outline that leaves spicules out.
        core = ndimage.distance_transform_edt(dense, sampling=0.7) > 1.5
        opened = dense & (ndimage.distance_transform_edt(~core, sampling=0.7) <= 1.5)
        seen.append(2 * np.sqrt(opened.sum() * 0.49 / np.pi) / diameter_mm)
    assert 0.97 < np.mean(seen) < 1.22


def test_a_lesion_that_leaves_the_image_says_by_how_much():
    """The grid's voxels reach to z = +-45 mm; the ball to 40 + 7."""
    reference = chest()
    with pytest.raises(GeometryError, match=r"leave the image by 2\.0 mm; move"):
        draw("solid", reference, at=(-50, 6, 40.0), lobulation=0.0, elongation=1.0)
    with pytest.raises(GeometryError, match=r"leave the image by .* 5\.0 mm outside"):
        draw("solid", reference, at=(-50, 6, 50.0))


@pytest.mark.slow
@pytest.mark.parametrize(("at", "diameter_mm"), [((-105, 0, 0), 20.0), ((0, 60, 0), 50.0)])
def test_a_lesion_that_leaves_the_body_says_by_how_much(at, diameter_mm):
    """The body ends at x = -110 and at y = 80 mm, 5 mm short of these balls."""
    fine = chest(spacing=(0.7, 0.7, 4.0), size=(340, 250, 16))
    with pytest.raises(GeometryError, match="leave the body by") as caught:
        draw("solid", fine, at=at, diameter_mm=diameter_mm, lobulation=0.0, elongation=1.0)
    distance = float(str(caught.value).split(" by ")[1].split(" mm")[0])
    assert distance == pytest.approx(5, abs=0.8)


@pytest.mark.slow
def test_a_region_that_leaves_the_image_or_the_body(axial):
    tall = chest(size=(160, 120, 60))
    with pytest.raises(GeometryError, match="leave the image by"):
        pathology.procedural("solid", reference=axial, roi=painted(tall, at=(-50, 0, 44)))
    with pytest.raises(GeometryError, match="leave the body by"):
        pathology.procedural("solid", reference=axial, roi=painted(axial, at=(-108, 0, 0)))


def test_an_image_without_a_body():
    empty = chest() * 0 - 1000
    with pytest.raises(GeometryError, match="no body found"):
        draw("solid", empty)


def test_a_center_outside_the_lung_is_a_warning(axial):
    lesion = draw("solid", axial, at=(0.0, 0.0, 0.0))
    assert len(lesion.warnings) == 1
    # the lungs begin 12 mm from the midline, the lesion's center is on it
    distance = float(lesion.warnings[0].split(" is ")[1].split(" mm")[0])
    assert distance == pytest.approx(12, abs=1.6)


def test_a_nodule_at_the_pleura_stays_in_the_lung(axial):
    lesion = draw("solid", axial, at=(-90.0, 0.0, 0.0), diameter_mm=20.0, hu=140)
    assert (array(axial)[array(lesion.mask) > 0] == LUNG_HU).all()
    assert any("was cut at the lung's border" in warning for warning in lesion.warnings)
    wall = array(axial) > 0
    np.testing.assert_array_equal(array(lesion.image)[wall], array(axial)[wall])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spiculatd"}, "did you mean 'spiculated'"),
        ({"spikules": 3}, "did you mean 'spicules'"),
        ({"hu": 900}, "hu of a spiculated lesion must be a number from -50 to 150, got 900"),
        ({"hu": "soft"}, "must be a number"),
        ({"kind": "calcified", "pattern": "popcron"}, "did you mean 'popcorn'"),
        ({"diameter_mm": 0.5}, "diameter_mm must be a number from 2 to 150"),
        ({"diameter_mm": None}, "diameter_mm"),
        ({"center_mm": (1, 2)}, "three numbers"),
        ({"center_mm": None}, "three numbers"),
        ({"center_mm": (0, 0, float("nan"))}, "three numbers"),
        ({"seed": -3}, "whole number"),
        ({"center_mm": None, "diameter_mm": None}, "either roi"),
    ],
)
def test_refusals(axial, options, message):
    arguments = {"center_mm": place(axial, *IN_LUNG), "diameter_mm": 12.0} | options
    kind = arguments.pop("kind", "spiculated")
    with pytest.raises(ValueError, match=message):
        pathology.procedural(kind, reference=axial, **arguments)


def test_shape_options_cannot_act_on_a_painted_region(axial):
    with pytest.raises(ValueError, match="lobulation cannot act"):
        pathology.procedural("solid", reference=axial, roi=painted(axial), lobulation=0.1)
