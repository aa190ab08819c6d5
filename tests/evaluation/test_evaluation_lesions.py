"""Lesions of known place and size, found or not; requests drawn, made and resumed."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from made_up_network import small

from medsynth import domains as presets
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.evaluation.lesion_fidelity import detection as lesions
from medsynth.evaluation.lesion_fidelity import figure as lesion_figure
from medsynth.evaluation.lesion_fidelity import targets as lesion_targets
from medsynth.evaluation.lesion_fidelity.targets import Target
from medsynth.evaluation.page_audits import nodules_section
from medsynth.networks import PatchUNet

PRESET = presets.get("lung_ct")
SPACING = (0.7, 0.7)
ROWS, COLUMNS = np.indices((128, 128))


def disc(diameter_mm, *, at=(60, 64)):
    """Boolean (128, 128): a disc on pixels of 0.7 mm."""
    distance = np.hypot(ROWS - at[0], COLUMNS - at[1]) * SPACING[0]
    return distance <= diameter_mm / 2


def expected(diameter_mm=14):
    target = Target(0, "made up", "solid", diameter_mm, (0.0, 0.0, 0.0))
    return target, lesions.ExpectedLesion(disc(diameter_mm), 880.0, SPACING)


@pytest.mark.parametrize("diameter", [8, 14, 30])
def test_a_lesion_is_measured_at_its_diameter(diameter):
    detection = lesions.measure(*expected(diameter), 880.0 * disc(diameter))
    assert detection.found
    assert detection.measured_mm == pytest.approx(diameter, rel=0.05)
    assert detection.off_mm == pytest.approx(0, abs=0.1)
    assert detection.contrast_hu == pytest.approx(880)


@pytest.mark.parametrize(
    ("actual", "found"), [(14 * 0.7, False), (14 * 0.8, True), (14 * 1.2, True), (14 * 1.3, False)]
)
def test_a_quarter_too_large_or_small_is_not_found(actual, found):
    assert lesions.measure(*expected(), 880.0 * disc(actual)).found is found


def test_a_lesion_beside_its_region_is_not_found():
    detection = lesions.measure(*expected(), 880.0 * disc(14, at=(60, 76)))
    assert not detection.inside
    assert detection.off_mm == pytest.approx(12 * 0.7, abs=0.1)


def test_less_than_half_of_the_contrast_is_nothing():
    detection = lesions.measure(*expected(), 430.0 * disc(14))
    assert (detection.measured_mm, detection.found) == (0.0, False)
    assert lesions.measure(*expected(), 450.0 * disc(14)).found


def test_noise_holes_and_spicules_do_not_count():
    difference = 880.0 * disc(14) + np.random.default_rng(0).normal(0, 60, (128, 128))
    difference[disc(4)] = 0  # a vessel was as dense before
    difference[59:62, 10:118] = 880  # a strand of 2 mm across the image
    detection = lesions.measure(*expected(), difference)
    assert detection.found
    assert detection.measured_mm == pytest.approx(14, rel=0.06)


def test_wilson_is_the_published_interval():
    # Newcombe, Stat Med 1998;17:857, table I, method 3: 81 of 263 and 0 of 20.
    assert lesion_figure.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert lesion_figure.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    with pytest.raises(ValueError, match="5 of 4"):
        lesion_figure.wilson(5, 4)


def test_the_figure_counts_by_kind_and_names_the_failures():
    target, region = expected()
    good = lesions.measure(target, region, 880.0 * disc(14))
    bad = lesions.measure(
        Target(1, "made up", "spiculated", 20, (0, 0, 0)), region, np.zeros((128, 128))
    )
    figure = lesion_figure.figure([good, bad])
    assert (figure["found"], figure["requests"], figure["share"]) == (1, 2, 0.5)
    assert figure["groups"]["solid"]["found"] == 1
    assert figure["groups"]["spiculated"]["found"] == 0
    assert [f["target"]["number"] for f in figure["failures"]] == [1]
    assert figure["failures"][0]["off_mm"] is None  # JSON has no infinity


@pytest.fixture(scope="module")
def volume():
    """A lung of 76 mm radius in a shell of tissue: 64 x 64 x 15 voxels of 3 x 3 x 5 mm."""
    k, j, i = np.indices((15, 64, 64))
    radius = np.hypot(j - 31.5, i - 31.5) * 3.0
    values = np.select([radius < 76, radius < 92], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing((3.0, 3.0, 5.0))
    image.SetOrigin((-40.0, 10.0, 7.0))
    return lesion_targets.volume_at(image, 7)


def test_targets_lie_in_the_lung_with_room_for_the_lesion(volume):
    targets = lesion_targets.draw_targets({"a": volume}, 20, preset=PRESET, seed=3)
    again = lesion_targets.draw_targets({"a": volume}, 20, preset=PRESET, seed=3)
    assert targets == again
    assert {p.kind for p in targets} == {"solid", "spiculated"}
    low, high = lesion_targets.DIAMETERS_MM
    for target in targets:
        assert low <= target.diameter_mm <= high
        column, row, k = volume.image.TransformPhysicalPointToContinuousIndex(target.center_mm)
        assert k == pytest.approx(volume.middle, abs=1e-3)
        away = np.hypot(row - 31.5, column - 31.5) * 3.0
        assert away <= 76 - lesion_targets.CLEARANCE * target.diameter_mm + 3.0


def test_a_volume_without_lung_has_no_target(volume):
    solid = lesion_targets.HeldOutVolume(sitk.Image(64, 64, 15, sitk.sitkFloat32) + 40, 7)
    solid.image.SetSpacing((3.0, 3.0, 5.0))
    with pytest.raises(ValueError, match="no volume has room"):
        lesion_targets.draw_targets({"a": solid}, 1, preset=PRESET)


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(0)
    config = small(64, reference_conditioned=False)
    network = PatchUNet(config).eval()
    plan = schedule.build("log_snr_linear")
    denoiser = Denoiser(network, plan, "v_prediction")
    return lesions.Setting(denoiser, PRESET, steps=2, sampler="dpmpp_2m", pathology_factor=1)


def test_a_lesion_is_the_only_difference_from_its_control(volume, setting):
    # Center of the middle slice; factor 1 imposes every frequency of the lesion's region.
    center = volume.image.TransformContinuousIndexToPhysicalPoint(
        (31.5, 31.5, float(volume.middle))
    )
    target = Target(0, "a", "solid", 30.0, center)
    control, nothing = lesions.synthesize(volume, None, setting)
    made, lesion = lesions.synthesize(volume, target, setting)
    assert nothing is None
    detection = lesions.measure(target, lesions.expected_in(lesion, volume), made - control)
    assert detection.inside
    assert detection.contrast_hu == pytest.approx(880, abs=150)
    again, _ = lesions.synthesize(volume, None, setting)
    assert np.array_equal(again, control)


@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(volume, setting, tmp_path, monkeypatch):
    file = tmp_path / "progress.jsonl"
    targets = lesion_targets.draw_targets({"a": volume}, 3, preset=PRESET)
    first, pictures = lesions.find_all(targets[:2], {"a": volume}, setting, progress=file)
    assert len(pictures) == sum(not f.found for f in first)
    assert all(p.dtype == np.uint8 and p.ndim == 2 for p in pictures)
    made = []
    true = lesions.synthesize
    monkeypatch.setattr(
        lesions, "synthesize", lambda s, target, x: (made.append(target), true(s, target, x))[1]
    )
    old = {'"target"': '"place"', '"volume"': '"slab"', '"detection"': '"finding"'}
    text = file.read_text()
    for new, before in old.items():  # as runs of users have it
        text = text.replace(new, before)
    file.write_text(text)
    with file.open("a") as torn:
        torn.write('{"setting": {"we')
    both, _ = lesions.find_all(targets, {"a": volume}, setting, progress=file)
    assert both[:2] == first
    assert made == [None, targets[2]]
    other = lesions.Setting(setting.denoiser, PRESET, steps=3, sampler="dpmpp_2m")
    made.clear()
    lesions.find_all(targets[:1], {"a": volume}, other, progress=file)
    assert made == [None, targets[0]]  # figures of another setting are not mixed in


def test_series_give_their_slices_with_lung(volume, tmp_path):
    values = sitk.GetArrayFromImage(volume.image)
    values[:7] = np.where(values[:7] > -900, 40, values[:7])  # no lung in the first slices
    values[7:, :, 20:] = np.where(values[7:, :, 20:] < -900, -1000, values[7:, :, 20:])
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(volume.image)
    (tmp_path / "patient").mkdir()
    sitk.WriteImage(image, str(tmp_path / "patient" / "ct.nrrd"))
    volumes = lesion_targets.volumes_with_lung([tmp_path / "patient" / "ct.nrrd"], 3, preset=PRESET)
    assert len(volumes) == 3
    for name, found in volumes.items():
        k = int(name.split()[-1]) - 1
        assert k >= 7, name
        assert np.array_equal(sitk.GetArrayFromImage(found.plane)[0], values[k])
    solid = tmp_path / "patient" / "solid.nrrd"
    values[:] = np.where(values > -900, 40, values)
    solid_image = sitk.GetImageFromArray(values)
    solid_image.CopyInformation(volume.image)
    sitk.WriteImage(solid_image, str(solid))
    with pytest.raises(ValueError, match="shows lung"):
        lesion_targets.volumes_with_lung([solid], 3, preset=PRESET)


def test_the_page_tells_how_many_were_found_and_shows_the_others():
    target, region = expected()
    bad = lesions.measure(target, region, np.zeros((128, 128)))
    good = lesions.measure(target, region, 880.0 * disc(14))
    figure = lesion_figure.figure([good, good, bad])
    title, body = nodules_section(figure, [np.zeros((20, 80), dtype=np.uint8)])
    assert "asked for" in title
    assert "<b>2 of 3 found</b>" in body
    assert body.count("<img") == 1
