"""Copies of known kinds against made-up patients, each with a texture of its own."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medsynth import domains as presets
from medsynth.evaluation.memorization import audit as memorization
from medsynth.evaluation.memorization import figure as memorization_figure
from medsynth.evaluation.memorization.audit import RealImages
from medsynth.evaluation.memorization.similarity import MEASURES, ReferenceIndex, _peak
from medsynth.records.audit import Match

pytestmark = pytest.mark.slow

PRESET = presets.get("lung_ct")
SIZE = 192


def patient(seed, slices=5):
    """Slices (N, H, W) of a chest-like disc with vessels; neighbors are alike, patients are not."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    center, axes = rng.uniform(-8, 8, 2), rng.uniform(62, 84, 2)
    angle = np.arctan2(rows, columns)
    waves = zip(range(2, 12), rng.uniform(0, 6.3, 10), rng.normal(0, 0.02, 10), strict=True)
    radius = np.hypot((rows - center[0]) / axes[0], (columns - center[1]) / axes[1])
    radius += sum(height * np.cos(n * angle + phase) for n, phase, height in waves)
    field = rng.normal(size=(slices + 4, SIZE, SIZE))
    coarse = ndimage.gaussian_filter(field, (1.5, 14, 14))
    detail = ndimage.gaussian_filter(field[::-1], (1.0, 1.0, 1.0))
    lung = 300 * coarse / coarse.std() + 80 * detail / detail.std() - 700
    body = np.where(radius < 0.75, lung, 40 + 10 * detail / detail.std())
    noise = rng.normal(0, 12, field.shape)
    image = ndimage.gaussian_filter(np.where(radius < 1, body, -1000), (0, 0.8, 0.8))
    return (image + noise)[2:-2].astype(np.float32)


def made_up(seeds, name):
    stacks = [patient(seed) for seed in seeds]
    names = [f"{name}{seed}" for seed in seeds for _ in range(5)]
    return RealImages(np.concatenate(stacks), tuple(names), tuple(f"{n}/ct" for n in names))


@pytest.fixture(scope="module")
def training():
    return made_up(range(4), "P")


@pytest.fixture(scope="module")
def held_out():
    return made_up((10, 11), "H")


@pytest.fixture(scope="module")
def reference_index(training):
    return ReferenceIndex(training.images, to_unit=PRESET.intensity.to_unit)


@pytest.fixture(scope="module")
def calibration(reference_index, training, held_out):
    return memorization.calibrate(reference_index, training, held_out, queries=12, copies=3)


def best(reference_index, image):
    return reference_index.compare(image).best(np.ones(len(reference_index), dtype=bool))


@pytest.mark.parametrize("reach", [1 / 8, 1 / 3])
def test_the_peak_is_that_of_the_whole_inverse_transform(reach):
    size = (48, 36)
    spectra = torch.fft.rfft2(torch.randn((3, *size), generator=torch.Generator().manual_seed(0)))
    spectra[..., 11:] = 0
    whole = torch.fft.fftshift(torch.fft.irfft2(spectra, s=size), dim=(-2, -1)) * (48 * 36)
    rows, columns = (int(n * reach) for n in size)
    near = whole[:, 24 - rows : 25 + rows, 18 - columns : 19 + columns].amax((1, 2))
    assert torch.allclose(_peak(spectra[..., :11], size, reach=reach), near, rtol=1e-6)


def test_one_image_is_compared_as_among_all(reference_index, training):
    image = ndimage.shift(training.images[7], (3, -2), order=1)
    among = reference_index.compare(image).scores
    alone = reference_index.only(7).compare(image).scores
    assert {n: s[0] for n, s in alone.items()} == pytest.approx({n: among[n][7] for n in MEASURES})


def test_an_image_is_its_own_copy_by_every_measure(reference_index, training):
    for name, (index, score) in best(reference_index, training.images[4]).items():
        assert index == 4, name
        assert score == pytest.approx(1, abs=1e-3), name


def test_a_flipped_and_shifted_image_is_found(reference_index, training):
    moved = np.roll(training.images[7][:, ::-1], (9, -7), (0, 1))
    for name, least in {"whole": 0.9, "fine": 0.8, "patch": 0.5}.items():
        index, score = best(reference_index, moved)[name]
        assert index == 7, name
        assert score > least, name


def test_contrast_and_brightness_do_not_hide_a_copy(reference_index, training):
    found = best(reference_index, training.images[2] * 0.9 + 40)
    assert {index for index, _ in found.values()} == {2}
    assert min(score for _, score in found.values()) > 0.85


def test_only_the_windows_find_a_pasted_region(reference_index, training, held_out):
    pasted = held_out.images[0].copy()
    pasted[60:136, 50:126] = training.images[7][57:133, 52:128]
    found, before = best(reference_index, pasted), best(reference_index, held_out.images[0])
    assert found["patch"][0] == 7
    assert found["patch"][1] > before["patch"][1] + 0.2
    assert found["whole"][1] < 0.9


def test_the_fine_band_does_not_see_what_guidance_imposes(reference_index, training, held_out):
    # The coarse band of a training image, the detail of another patient: guidance at work.
    frequencies = SIZE * np.fft.fftfreq(SIZE)
    imposed = np.hypot(frequencies[:, None], frequencies) <= 32  # factor 8 at 512 x 512

    def low(image):
        return np.fft.ifft2(np.fft.fft2(image) * imposed).real.astype(np.float32)

    guided = low(training.images[1]) + held_out.images[0] - low(held_out.images[0])
    found, stranger = best(reference_index, guided), best(reference_index, held_out.images[0])
    assert found["whole"] == (1, pytest.approx(1, abs=0.12))
    assert found["fine"][1] == pytest.approx(stranger["fine"][1], abs=0.04)


def test_other_sizes_are_refused(reference_index):
    with pytest.raises(ValueError, match="192 x 192"):
        reference_index.compare(np.zeros((SIZE, 96), dtype=np.float32))
    with pytest.raises(ValueError, match="at least 192 pixels"):
        ReferenceIndex(np.zeros((2, 64, 64), dtype=np.float32), to_unit=PRESET.intensity.to_unit)


def test_the_threshold_is_two_deviations_above_the_largest():
    z = np.array([0.1, 0.3, 0.5])
    expected = np.tanh(0.5 + 2 * z.std())
    assert memorization.threshold(np.tanh(z)) == pytest.approx(expected)
    assert memorization.threshold([0.2, 0.2]) == pytest.approx(0.2)


def test_real_patients_are_no_copies_and_copies_are(calibration):
    assert calibration.controls["false_alarms"]["found"] <= 1  # thresholds of five patients
    assert calibration.controls["false_alarms"]["tried"] == 12
    assert calibration.controls["patients"] == 6
    detection = calibration.controls["detection"]
    assert "neighboring slice" in detection
    for kind, rates in detection.items():
        assert rates["found"] == rates["tried"] > 0, kind
    assert detection["neighboring slice"]["tried"] == 6
    for name in MEASURES:
        assert max(calibration.floor[name]) < calibration.thresholds[name] < 1


def test_an_image_of_the_same_patient_never_sets_the_threshold(reference_index, training, held_out):
    # One patient under two names: the threshold has to rise to where its slices lie.
    twice = RealImages(
        training.images, ("A", "A", "B", "B", "B", *training.patients[5:]), training.series
    )
    wrong = memorization.calibrate(reference_index, twice, held_out, queries=24, copies=1)
    assert wrong.thresholds["fine"] > 0.3
    right = memorization.calibrate(reference_index, training, held_out, queries=24, copies=1)
    assert right.thresholds["fine"] < 0.3


def test_too_few_patients_are_refused(reference_index, training):
    one = RealImages(training.images, ("A",) * 20, training.series)
    with pytest.raises(ValueError, match="at least three patients"):
        memorization.calibrate(reference_index, one)


def test_a_network_that_memorized_is_found_and_one_that_did_not_is_not(
    training, held_out, calibration
):
    rng = np.random.default_rng(5)
    copied = training.images[[0, 6]] + rng.normal(0, 30, (2, SIZE, SIZE)).astype(np.float32)
    fresh = np.concatenate([patient(seed, 2) for seed in (20, 21)])
    samples = {"memorized": (copied, ["none"] * 2), "fresh": (fresh, ["X", "X", "Y", "Y"])}
    figures, pictures = memorization_figure.audit(
        samples, training, held_out, preset=PRESET, calibration=calibration
    )
    bad, good = figures["samples"]["memorized"], figures["samples"]["fresh"]
    assert (bad["near_copies"], bad["share"]) == (2, 1.0)
    assert {w["training_image"] for w in bad["worst"]} == {"P0/ct slice 1", "P1/ct slice 2"}
    assert (good["near_copies"], good["share"]) == (0, 0.0)
    assert good["interval"] == [0.0, pytest.approx(0.4899, abs=1e-4)]  # Wilson, 0 of 4
    for name, record in good["measures"].items():
        assert record["interval"][0] <= record["value"] <= record["interval"][1], name
        assert record["largest"] < record["threshold"], name
    (first, _) = pictures["memorized"]
    assert first.shape == (SIZE, 2 * SIZE)
    left, right = first[:, :SIZE].astype(float), first[:, SIZE:].astype(float)
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.9


def test_neighbors_are_slices_of_a_stack(training):
    assert np.flatnonzero(training.neighbors(6)).tolist() == [5, 7]
    assert np.flatnonzero(training.neighbors(5)).tolist() == [6]  # 4 is another patient's
    assert training.name(6) == "P1/ct slice 2"
    few = RealImages(training.images[:4], training.patients[:4], training.series[:4])
    assert not few.neighbors(1).any()  # a folder with some slices of a chest, here and there


def test_the_nearest_pairs_come_first():
    def match(slice_, similarity, threshold):
        return (Match(slice_, "a", "fine", similarity, threshold),)

    matches = [match(0, 0.5, 0.9), match(1, 0.3, 0.2), match(2, 0.85, 0.9)]
    assert [m.slice for m in memorization_figure.nearest_pairs(matches, 2)] == [1, 2]
    assert memorization.worst(matches)[0].slice == 2
