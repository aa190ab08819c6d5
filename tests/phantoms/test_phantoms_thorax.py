"""The thorax phantom: tissues, sides, seeds, geometry, editing, files, refusals."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from medsynth import phantoms as anatomy
from medsynth.phantoms.noise_field import Texture
from medsynth.phantoms.thorax import tissues

pytestmark = pytest.mark.slow

COARSE = {"spacing_mm": (3.5, 3.5, 8.0), "size": (104, 92)}


@pytest.fixture(scope="module")
def phantom():
    """A whole thorax, coarse, with contrast medium."""
    return anatomy.thorax(seed=3, contrast_hu=150.0, spacing_mm=(4.0, 4.0, 10.0), size=(92, 80))


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def middle(phantom, *names: str) -> np.ndarray:
    """LPS center of mass of the labels."""
    values = [phantom.label_names[name] for name in names]
    index = np.argwhere(np.isin(voxels(phantom.labels), values)).mean(axis=0)
    return np.array(phantom.labels.TransformContinuousIndexToPhysicalPoint(index[::-1].tolist()))


def volume_ml(phantom, *names: str) -> float:
    values = [phantom.label_names[name] for name in names]
    count = np.isin(voxels(phantom.labels), values).sum()
    return float(count * np.prod(phantom.labels.GetSpacing()) / 1000)


def test_each_tissue_has_its_hounsfield_units(phantom):
    hu, label = voxels(phantom.image), voxels(phantom.labels)

    def median(name):
        return np.median(hu[label == phantom.label_names[name]])

    assert median("air") == -1000
    assert median("fat") == pytest.approx(-103, abs=15)
    assert median("muscle") == pytest.approx(50, abs=15)
    lung = phantom.curves.habitus["lung_hu"]
    assert median("lung_left") == pytest.approx(lung, abs=25)
    assert median("lung_right") == pytest.approx(lung, abs=25)
    assert median("blood") == pytest.approx(42 + 150, abs=45)  # arteries all of it, veins less
    assert median("liver") == pytest.approx(58 + 0.25 * 150, abs=12)
    assert 200 < median("bone") < 700
    assert median("table") < -500
    assert hu.min() > -1080
    assert hu.max() < 1000


def test_bone_has_a_cortex_and_marrow():
    """Where the pixels are small enough to hold them apart."""
    phantom = anatomy.thorax(seed=3, slices=1, spacing_mm=(0.8, 0.8, 1.0), size=(360, 300))
    bone = voxels(phantom.image)[voxels(phantom.labels) == phantom.label_names["bone"]]
    low, high = np.percentile(bone, [15, 85])
    assert 120 < low < 300
    assert 450 < high < 700
    inner = ndimage.binary_erosion(voxels(phantom.labels)[0] == phantom.label_names["bone"])
    beside = np.abs(np.arange(360) - 179.5) * 0.8 > 60  # ribs only
    assert np.percentile(voxels(phantom.image)[0][inner & beside], 20) < 380


def test_lung_is_denser_in_the_back_than_in_front(phantom):
    hu, label = voxels(phantom.image), voxels(phantom.labels)
    names = [phantom.label_names[name] for name in tissues.LUNGS]
    k, j, i = np.nonzero(np.isin(label, names))
    y = phantom.image.GetOrigin()[1] + 4.0 * j
    values = hu[k, j, i]
    inner = values < -750
    slope = np.polyfit(y[inner], values[inner], 1)[0]
    assert slope == pytest.approx(tissues.LUNG_GRADIENT_HU_PER_MM, rel=0.25)


def test_organs_lie_on_the_right_side(phantom):
    """LPS: +x is the patient's left, +y the back, +z the head."""
    assert middle(phantom, "lung_left")[0] > 40
    assert middle(phantom, "lung_right")[0] < -40
    assert 0 < middle(phantom, "heart")[0] < 40  # the heart points to the left
    assert middle(phantom, "liver")[0] < -20
    assert middle(phantom, "stomach")[0] > 30
    assert middle(phantom, "spleen")[0] > 30
    assert middle(phantom, "spinal_canal")[1] > middle(phantom, "heart")[1] + 60
    assert middle(phantom, "airway")[2] > middle(phantom, "heart")[2] > middle(phantom, "liver")[2]


def test_lungs_have_a_human_volume(phantom):
    """Total lung capacity, 3 to 8 l; the right lung is the larger one."""
    right, left = volume_ml(phantom, "lung_right"), volume_ml(phantom, "lung_left")
    assert 3000 < right + left < 8000
    assert 1.0 < right / left < 1.5
    assert 300 < volume_ml(phantom, "heart", "blood") < 1600


def test_a_seed_repeats_bit_for_bit_and_another_differs():
    options = {**COARSE, "slices": 2}
    one, again = (anatomy.thorax(seed=11, **options) for _ in range(2))
    other = anatomy.thorax(seed=12, **options)
    np.testing.assert_array_equal(voxels(one.image), voxels(again.image))
    np.testing.assert_array_equal(voxels(one.labels), voxels(again.labels))
    differing = np.mean(voxels(one.labels) != voxels(other.labels))
    assert differing > 0.03


def test_the_given_habitus_changes_only_what_it_names():
    drawn = anatomy.shape(seed=5).habitus
    given = anatomy.shape(seed=5, heart=1.3).habitus
    assert given == drawn | {"heart": 1.3}


def test_a_larger_heart_is_larger():
    small, large = (
        anatomy.thorax(seed=5, heart=heart, slices=6, level_mm=-25.0, **COARSE)
        for heart in (0.8, 1.2)
    )
    # in-plane growth goes with the square
    grown = volume_ml(large, "heart") / volume_ml(small, "heart")
    assert 1.5 < grown < 3.2
    assert volume_ml(large, "liver") == pytest.approx(volume_ml(small, "liver"), rel=0.25)


def test_a_fat_patient_has_more_fat_and_the_same_lungs():
    thin, fat = (
        anatomy.thorax(seed=5, fat_mm=f, slices=3, spacing_mm=(4, 4, 8), size=(120, 100))
        for f in (6.0, 40.0)
    )
    assert volume_ml(fat, "fat") > 1.8 * volume_ml(thin, "fat")
    assert volume_ml(fat, "lung_left") == pytest.approx(volume_ml(thin, "lung_left"), rel=0.01)


def test_the_grid_is_centerd_and_as_asked():
    phantom = anatomy.thorax(
        seed=0, slices=5, spacing_mm=(3.5, 4.0, 6.0), size=(96, 80), level_mm=10
    )
    assert phantom.image.GetSize() == (96, 80, 5)
    assert phantom.image.GetSpacing() == (3.5, 4.0, 6.0)
    np.testing.assert_allclose(phantom.image.GetOrigin(), (-95 / 2 * 3.5, -79 / 2 * 4, 10 - 12))
    assert phantom.image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert phantom.image.GetPixelID() == sitk.sitkFloat32
    assert phantom.labels.GetPixelID() == sitk.sitkUInt8
    body = np.argwhere(voxels(phantom.labels)[2] > 0).mean(axis=0)
    assert abs(body[1] - 47.5) * 3.5 < 12


def test_the_whole_thorax_holds_lung_from_apex_to_recess(phantom):
    label = voxels(phantom.labels)
    lung = np.isin(label, [phantom.label_names[name] for name in tissues.LUNGS])
    assert not lung[0].any()
    assert not lung[-1].any()
    assert lung.any(axis=(1, 2)).mean() > 0.8


def test_a_single_slice_is_the_volumes_slice():
    volume = anatomy.thorax(seed=2, slices=3, level_mm=20.0, **COARSE)
    single = anatomy.thorax(seed=2, slices=1, level_mm=20.0, **COARSE)
    np.testing.assert_array_equal(voxels(single.labels)[0], voxels(volume.labels)[1])
    np.testing.assert_allclose(voxels(single.image)[0], voxels(volume.image)[1], atol=0.01)


def test_the_same_body_at_another_spacing():
    fine = anatomy.thorax(seed=2, slices=4, spacing_mm=(2, 2, 4), size=(176, 150))
    coarse = anatomy.thorax(seed=2, slices=2, spacing_mm=(5, 4, 8), size=(72, 80))
    for names in (("lung_left",), ("heart", "blood"), ("bone",)):
        assert volume_ml(coarse, *names) == pytest.approx(volume_ml(fine, *names), rel=0.06)


def test_an_edge_is_as_blurred_as_the_point_spread_says():
    """The edge's slope is the point spread: variance sigma^2 + pixel^2 / 12, and 3 mm slices."""
    corners = [(-40, -40), (0.13, -40), (0.13, 40), (-40, 40)]
    sides = np.concatenate([np.linspace(a, b, 30, endpoint=False) for a, b in pairs(corners)])
    control = np.stack([sides, sides])
    block = anatomy.Organ(
        "diaphragm", (anatomy.Layer(0.0),), (anatomy.ClosedCurves([-20.0, 1.0], control),)
    )
    shape = anatomy.ThoraxShape({"block": block}, {})
    hu = voxels(anatomy.render(shape, anatomy.VoxelGrid((40, 9, 3), (0.5, 0.5, 3.0))).image)
    slope = np.diff(hu[0, 4]) / -1000
    x = (np.arange(39) - 19) * 0.5
    assert slope.sum() == pytest.approx(1, abs=1e-3)
    assert slope @ x == pytest.approx(0.13, abs=0.1)
    variance = slope @ (x - slope @ x) ** 2
    assert variance == pytest.approx(0.5**2 + 0.5**2 / 12, rel=0.25)
    # its top at +1 mm cuts the middle slice (-1.5 to 1.5 mm) at 5/6
    assert hu[1, 4, 5] == pytest.approx(-1000 * (1 - 5 / 6), abs=180)
    assert hu[2, 4, 5] == -1000


def pairs(corners):
    return zip(np.array(corners, float), np.roll(corners, -1, axis=0), strict=True)


def test_moving_the_heart_moves_the_heart_and_nothing_else():
    shape = anatomy.shape(seed=4)
    edited = shape.moved("heart", (12.0, 0.0, 0.0))
    grid = anatomy.VoxelGrid((120, 112, 2), (3.0, 3.0, 8.0), -20.0)
    before, after = anatomy.render(shape, grid), anatomy.render(edited, grid)
    for name, organ in shape.organs.items():
        same = edited.organs[name] == organ
        assert same == (not name.startswith("heart"))
    assert middle(after, "heart")[0] - middle(before, "heart")[0] == pytest.approx(12, abs=1.5)
    changed = np.argwhere(voxels(before.labels) != voxels(after.labels))
    x = before.labels.GetOrigin()[0] + 3.0 * changed[:, 2]
    assert x.min() > -60  # the right chest wall is untouched
    for name in ("bone", "muscle", "fat", "liver"):
        value = before.label_names[name]
        np.testing.assert_array_equal(voxels(before.labels) == value, voxels(after.labels) == value)


def test_pulling_one_control_point_of_a_lung():
    shape = anatomy.shape(seed=4)
    lung = shape.organs["lung_left"]
    curves = lung.pieces[0]
    level = int(np.abs(curves.levels_mm - 0).argmin())
    outermost = int(curves.points_mm[level, :, 0].argmax())
    points = curves.points_mm.copy()
    points[level, outermost, 0] -= 25
    pulled = dataclasses.replace(lung, pieces=(anatomy.ClosedCurves(curves.levels_mm, points),))
    edited = dataclasses.replace(shape, organs=shape.organs | {"lung_left": pulled})
    grid = anatomy.VoxelGrid((120, 112, 1), (3.0, 3.0, 3.0), float(curves.levels_mm[level]))
    before, after = anatomy.render(shape, grid), anatomy.render(edited, grid)
    changed = np.argwhere(voxels(before.labels) != voxels(after.labels))
    assert 5 < len(changed) < 120
    near = np.array([points[level, outermost, 0] + 25, points[level, outermost, 1]])
    at = np.array(before.labels.GetOrigin())[:2] + 3.0 * changed[:, :0:-1]
    assert np.linalg.norm(at - near, axis=1).max() < 70


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_control_points_survive_a_file(tmp_path, suffix):
    shape = anatomy.shape(seed=6)
    path = tmp_path / f"person{suffix}"
    anatomy.save_control_points(shape, path)
    read = anatomy.load_control_points(path)
    assert read.habitus == shape.habitus
    assert read.seed == shape.seed
    assert list(read.organs) == list(shape.organs)
    for name, organ in shape.organs.items():
        other = read.organs[name]
        assert (organ.label, organ.layers, organ.over) == (other.label, other.layers, other.over)
        for a, b in zip(organ.pieces, other.pieces, strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(a.points_mm, b.points_mm, atol=6e-4)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    built = anatomy.build("thorax", control_points=path, slices=1, **COARSE)
    direct = anatomy.thorax(seed=6, slices=1, **COARSE)
    differing = np.mean(voxels(built.labels) != voxels(direct.labels))
    assert differing < 0.002  # the file keeps micrometres


def test_texture_is_a_function_of_place():
    texture = Texture(9)
    x = np.arange(-150, 150, 1.0)
    plane = texture.plane(x, x, z_mm=-31.3)
    part = Texture(9).plane(x[100:150], x[40:60], z_mm=-31.3)
    np.testing.assert_array_equal(plane[40:60, 100:150], part)
    assert abs(np.corrcoef(plane.ravel(), Texture(8).plane(x, x, z_mm=-31.3).ravel())[0, 1]) < 0.1
    assert abs(plane.mean()) < 0.15
    assert 0.4 < plane.std() < 1.1


def test_progress_counts_slices():
    calls = []
    anatomy.thorax(seed=0, slices=3, progress=lambda *a: calls.append(a), **COARSE)
    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "whole number"),
        ({"seed": 1.5}, "whole number"),
        ({"slices": 0}, "1 to 2048"),
        ({"slices": 5000}, "1 to 2048"),
        ({"size": (0, 64)}, "1 to 2048"),
        ({"size": (64,)}, "size must be 2 numbers"),
        ({"size": 64}, "size must be 2 numbers, got 64"),
        ({"slices": "all"}, "slices must be 1 number, got 'all'"),
        ({"slices": 2.5}, "whole numbers"),
        ({"spacing_mm": 0.7}, "3 numbers"),
        ({"spacing_mm": ("a", 1, 1)}, "3 numbers"),
        ({"spacing_mm": (0.0, 1, 1)}, "0.1 to 50"),
        ({"spacing_mm": (1, 1)}, "3 numbers"),
        ({"spacing_mm": (1, 1, float("nan"))}, "0.1 to 50"),
        ({"heart": 9.0}, "heart must be a number from 0.75 to 1.5, got 9"),
        ({"fat_mm": "much"}, "fat_mm must be a number"),
        ({"sex": "x"}, "female, male"),
        ({"table": "no"}, "true or false"),
        ({"haert": 1.1}, "did you mean 'heart'"),
        ({"level_mm": 1e9}, "center_z_mm"),
        ({"control_points": "a.yaml", "seed": 3}, "remove seed"),
    ],
)
def test_absurd_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        anatomy.build("thorax", **options)


def test_an_unknown_phantom_or_organ_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'thorax'"):
        anatomy.build("torax")
    with pytest.raises(ValueError, match="did you mean 'heart'"):
        anatomy.shape(seed=0).moved("haert", (0, 0, 0))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: "not: [yaml", "not a control point file"),
        (lambda t: "a: 1", "not a control point file"),
        (lambda t: t.replace("version: 1", "version: 7"), "version 7"),
        (lambda t: t.replace("label: heart", "label: hart"), "'heart'.*unknown label 'hart'"),
        (lambda t: t.replace("kind: closed_curves", "kind: cube", 1), "kind 'cube'"),
        (lambda t: t.replace("radius_mm:", "radius:", 1), "organ"),
    ],
)
def test_a_broken_control_point_file_says_where(tmp_path, edit, message):
    path = tmp_path / "person.yaml"
    shape = anatomy.shape(seed=0)
    few = {name: shape.organs[name] for name in ("lung_left", "heart", "aorta")}
    anatomy.save_control_points(dataclasses.replace(shape, organs=few), path)
    path.write_text(edit(path.read_text()))
    with pytest.raises(ValueError, match=message):
        anatomy.load_control_points(path)
