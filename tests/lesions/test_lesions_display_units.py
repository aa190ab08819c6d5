"""Lesions in gray values: size, contrast to what is around, and refusals with distances."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_pictures import as_image, film, head_ct, head_mr

from medsynth import lesions as pathology
from medsynth.domains import get
from medsynth.errors import GeometryError
from medsynth.lesions import regions

CHEST, MRI, CT = (get(name) for name in ("chest_xray", "brain_mri", "brain_ct"))
KINDS = [(preset, kind) for preset in (CHEST, MRI, CT) for kind in preset.lesion_kinds]
# Voxels (i, j, k) in lung or brain, away from ventricles.
PLACE = {"chest_xray": (36, 75, 0), "brain_mri": (35, 60, 0), "brain_ct": (35, 60, 0)}


def reference(preset, depth=1):
    if preset is CHEST:
        return as_image(film()[None])
    if preset is MRI:
        return as_image((head_mr(depth) / 1400 * 255).clip(0, 255))
    return as_image(head_ct(depth).clip(0, 80) / 80 * 255)


def draw(preset, kind, *, at=None, depth=1, diameter_mm=18.0, **options):
    image = reference(preset, depth)
    at = list(at or PLACE[preset.name])
    at[2] = (depth - 1) / 2
    return pathology.procedural(
        kind,
        reference=image,
        center_mm=image.TransformContinuousIndexToPhysicalPoint([float(v) for v in at]),
        diameter_mm=diameter_mm,
        body_threshold=preset.body_threshold,
        **options,
    )


def array(image):
    return sitk.GetArrayFromImage(image)


SINGLE = [(preset, kind, 1) for preset, kind in KINDS]
STACKS = [(preset, kind, 7) for preset, kind in KINDS if preset is not CHEST]


@pytest.mark.parametrize(("preset", "kind", "depth"), SINGLE + STACKS)
def test_the_mask_measures_what_was_asked(preset, kind, depth):
    lesion = draw(preset, kind, depth=depth, seed=3, elongation=1.2)
    tolerance = 0.02 if depth == 1 else 0.06
    assert pathology.mask_diameter_mm(lesion.mask) == pytest.approx(18, rel=tolerance)


@pytest.mark.parametrize(("preset", "kind"), KINDS)
def test_nothing_changes_away_from_the_lesion_and_something_does_in_it(preset, kind):
    lesion = draw(preset, kind, seed=5)
    before, after = array(reference(preset)), array(lesion.image)
    j, i = np.indices(before.shape[1:])
    away = np.hypot(i - PLACE[preset.name][0], j - PLACE[preset.name][1]) * 1.5 > 45
    assert np.array_equal(after[0][away], before[0][away])
    assert np.abs(after - before)[array(lesion.mask) > 0].mean() > 8
    assert after.min() >= 0
    assert after.max() <= 255


@pytest.mark.parametrize(("preset", "kind"), KINDS)
def test_a_seed_repeats_bit_for_bit_and_another_differs(preset, kind):
    first, again, other = (draw(preset, kind, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(array(first.image), array(again.image))
    assert first.drawn == again.drawn
    assert not np.array_equal(array(first.image), array(other.image))


@pytest.mark.parametrize("contrast", [15, 60])
def test_a_nodule_adds_its_contrast_in_the_middle(contrast):
    lesion = draw(CHEST, "nodule", contrast=contrast, seed=2)
    gained = (array(lesion.image) - array(reference(CHEST)))[0]
    assert gained.max() == pytest.approx(contrast, rel=0.1)
    assert np.argwhere(gained > 0.95 * gained.max()).mean(axis=0) == pytest.approx(
        (75, 36), abs=1.5
    )


def test_an_opacity_fades_over_its_softness():
    sharp, soft = (
        draw(CHEST, "opacity", contrast=40, softness=s, seed=2, diameter_mm=24) for s in (0.05, 0.9)
    )
    step = [
        np.abs(np.diff((array(lesion.image) - array(reference(CHEST)))[0], axis=1)).max()
        for lesion in (sharp, soft)
    ]
    assert step[0] > 2.5 * step[1]


def test_a_mass_is_as_many_times_as_bright_as_the_brain_around_it():
    lesion = draw(MRI, "enhancing_mass", enhancement=2.0, edema=0.0, seed=1)
    inside = array(lesion.mask) > 0
    brain = 502 / 1400 * 255
    assert np.median(array(lesion.image)[inside]) == pytest.approx(2 * brain, rel=0.08)
    assert lesion.drawn["background"] == pytest.approx(brain, abs=2)


def test_edema_is_darker_and_outside_the_mask():
    with_it, without = (
        draw(MRI, "enhancing_mass", edema=o, edema_level=0.7, seed=1) for o in (0.6, 0.0)
    )
    outside = array(with_it.mask) == 0
    change = (array(with_it.image) - array(without.image))[outside]
    assert change.min() < -15
    assert change.max() < 1
    assert np.array_equal(array(with_it.mask), array(without.mask))


def test_a_ring_is_bright_around_a_dark_middle():
    lesion = draw(
        MRI,
        "ring_enhancing_mass",
        enhancement=2.0,
        core_level=0.5,
        rim=0.15,
        diameter_mm=30,
        seed=1,
    )
    values = array(lesion.image)[0]
    i, j, _ = PLACE["brain_mri"]
    brain = 502 / 1400 * 255
    assert values[j - 2 : j + 3, i - 2 : i + 3].mean() == pytest.approx(0.5 * brain, rel=0.15)
    assert values[array(lesion.mask)[0] > 0].max() > 1.8 * brain


def test_blood_is_bright_in_a_thin_dark_rim():
    lesion = draw(CT, "hemorrhage", contrast=80, rim=0.15, rim_contrast=30, seed=1)
    gained = array(lesion.image) - array(reference(CT))
    inside = array(lesion.mask) > 0
    assert np.median(gained[inside]) == pytest.approx(80, rel=0.12)
    assert gained[~inside].min() < -15
    assert lesion.drawn["mean_added"] == pytest.approx(gained[inside].mean(), abs=0.1)


@pytest.mark.parametrize(("preset", "kind"), [c for c in KINDS if c[0] is not CHEST])
def test_a_lesion_that_leaves_the_skull_is_refused_with_the_distance(preset, kind):
    with pytest.raises(GeometryError, match=r"would leave the skull by \d+\.\d mm"):
        draw(preset, kind, at=(22, 60, 0))


def test_a_nodule_beside_the_body_is_refused_with_the_distance():
    with pytest.raises(GeometryError, match=r"would leave the body by \d+\.\d mm"):
        draw(CHEST, "nodule", at=(7, 75, 0), diameter_mm=8)


def test_the_inside_of_a_skull_of_bone_is_what_it_encloses():
    values = array(reference(CT))
    inside = regions.inside_skull_ct(values, (1.5, 1.5, 4.0), CT.body_threshold)[0]
    _, j, i = np.indices(values.shape)
    radius = np.hypot((i - 59.5) / 120 / 0.36, (j - 59.5) / 120 / 0.44)[0]
    assert inside[radius < 0.82].all()
    assert not inside[radius > 0.88].any()


def test_what_does_not_fit_below_white_is_said():
    lesion = draw(MRI, "enhancing_mass", enhancement=3.0, seed=1)
    assert "it became 250" in lesion.warnings[0]
    assert array(lesion.image).max() <= 255
