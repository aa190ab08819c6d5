"""The mark in the pixels: where it is written, that it is found, and that nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, stats

from medsynth import domains
from medsynth.evaluation.mark_survival import changes_of
from medsynth.marking.bands import BANDS, COARSE, FINE
from medsynth.marking.box import box_mean
from medsynth.marking.detection import ALPHA, detect, independent_slices, looked_up, scores_of
from medsynth.marking.keys import PRODUCT, MarkKey, make_key, own_key, writing_key
from medsynth.marking.pattern import WAVES, frequencies_of, uniforms, waves
from medsynth.marking.pixels import PHASES, SHARE, is_air, local_noise, marked, own_phases
from medsynth.marking.spectrum import ranks

OWN = MarkKey("own", b"a key of nobody else, 32 letters")
HU = domains.get("lung_ct").mark_limits
FIRST_WAVE = (0.22071669037146474, 0.07307491603372882)  # of the product's key, cycles per pixel


def slice_of_a_body(seed=0, size=(320, 300)):
    """Smooth tissue with noise of 12 HU inside an ellipse, air outside, whole HU."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    body = ((y - size[0] / 2) / (0.45 * size[0])) ** 2 + ((x - size[1] / 2) / (0.45 * size[1])) ** 2
    tissue = 300 * ndimage.gaussian_filter(rng.normal(size=size), 12) * 12
    noise = 12 * ndimage.gaussian_filter(rng.normal(size=size), 0.7) / 0.4
    return np.rint(np.where(body < 1, 40 + tissue + noise, -1000)).astype(np.float32)


def p_value(image, key=PRODUCT):
    return detect(*scores_of(image), key).p_value


@pytest.mark.parametrize("band", BANDS)
def test_waves_lie_in_their_band_and_have_unit_power(band):
    frequencies = frequencies_of(PRODUCT, band)
    radius = np.hypot(*frequencies.T)
    assert len(radius) == WAVES
    assert band.low <= radius.min()
    assert radius.max() <= band.high
    pattern = waves(frequencies, np.arange(WAVES), size=(256, 192))
    assert pattern.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("phase", [-2.5, 0.0, 1.0])
def test_the_phases_of_an_image_of_one_wave_are_that_waves(phase):
    frequency = frequencies_of(PRODUCT, COARSE)[:1]
    image = 40 + 20 * waves(frequency, np.array([phase]), size=(200, 180))
    assert own_phases(image, frequency, picture=None) == pytest.approx(phase, abs=np.pi / PHASES)
    assert own_phases(image, frequency, picture=HU.picture) == pytest.approx(phase, abs=0.3)


def test_with_its_own_phases_a_weak_mark_is_found():
    """Waves of 0.035 of the noise; with phases that have nothing to do with the image, p is 0.2."""
    noise = np.random.default_rng(3).normal(size=(256, 256)).astype(np.float32)
    frequencies = frequencies_of(PRODUCT, FINE)
    own = own_phases(noise, frequencies, picture=None)

    def p(phases):
        return p_value(noise + 0.035 * waves(frequencies, phases, size=noise.shape))

    assert p(own) < ALPHA
    assert p(own + 2 * np.arange(WAVES)) > 1e-3


def test_no_two_slices_share_their_waves():
    changes = [
        marked(image, 1.0, key=PRODUCT, limits=HU) - image
        for image in (slice_of_a_body(1), slice_of_a_body(2))
    ]
    assert abs(np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1]) < 0.6


def test_a_mark_of_earlier_versions_is_still_found():
    """They wrote the finer band, also in HU, with phases that the key drew for each slice."""
    image = slice_of_a_body()
    numbers = uniforms(PRODUCT.secret, "phases 0")
    phases = 2 * np.pi * np.array([next(numbers) for _ in range(WAVES)])
    pattern = waves(frequencies_of(PRODUCT, FINE), phases, size=image.shape)
    mark = np.clip(SHARE * local_noise(image) * pattern, -3, 3) * ~is_air(image, HU.air)
    found = detect(*scores_of(np.rint(image + mark)), PRODUCT)
    assert found.marked
    assert found.band == FINE
    # The frequencies of the product's key, as the first version wrote them.
    first = frequencies_of(PRODUCT, FINE)[0]
    assert first == pytest.approx(FIRST_WAVE, abs=1e-12)


@pytest.mark.parametrize("side", [5, 7, 9, 15])
def test_means_over_squares_are_those_of_scipy(side):
    values = np.random.default_rng(side).normal(size=(61, 48)).astype(np.float32)
    assert box_mean(values, side) == pytest.approx(ndimage.uniform_filter(values, side), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["JPEG 50, lung", "JPEG 50, bone", "JPEG 75, bone"])
def test_jpeg_in_a_wide_window_leaves_enough_of_the_mark(change):
    """With phases of the key and waves up to 0.30 cycles per pixel, p was 0.01 for JPEG 50 in the bone window."""
    image = slice_of_a_body(size=(512, 512))
    after = marked(image, 1.0, key=PRODUCT, limits=HU)
    altered = changes_of(domains.get("lung_ct"))[change]
    assert p_value(altered(after)) < ALPHA
    assert p_value(altered(image)) > 1e-3


def test_in_gray_values_too_the_phases_are_those_that_jpeg_leaves():
    """Of 60 synthetic slices of brain MRI 31 were found after JPEG 50 with the image's own phases, 53 with these."""
    preset = domains.get("brain_mri")
    jpeg = changes_of(preset)["JPEG 50, full"]
    alone = replace(preset.mark_limits, picture=None)
    gained = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        smooth = 100 + 400 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 5)
        image = np.rint(smooth + rng.normal(0, 2, smooth.shape)).astype(np.float32)
        p = [
            p_value(jpeg(marked(image, 1.0, key=PRODUCT, limits=limits)))
            for limits in (preset.mark_limits, alone)
        ]
        gained.append(np.log10(p[1]) - np.log10(p[0]))
    assert np.median(gained) > 1


def test_air_and_what_was_kept_stay_as_they_are():
    image = slice_of_a_body()
    weight = np.zeros(image.shape, np.float32)
    weight[:, :150] = 1
    after = marked(image, weight, key=PRODUCT, limits=HU)
    change = after - image
    assert (change[:, 150:] == 0).all()
    assert (change[is_air(image, HU.air)] == 0).all()
    assert 0 < np.abs(change).max() <= 3
    assert np.array_equal(after, marked(image, weight, key=PRODUCT, limits=HU))
    assert after.dtype == image.dtype


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("as it is", lambda image: image),
        ("shifted", lambda image: np.roll(image, (13, -40), (0, 1))),
        ("flipped", lambda image: image[:, ::-1]),
        ("upside down", lambda image: image[::-1]),
        ("a quarter turn", lambda image: np.rot90(image)),
        ("cropped", lambda image: image[80:240, 75:225]),
        ("scaled by 0.8", lambda image: ndimage.zoom(image, 0.8, order=3)),
        ("scaled by 1.3", lambda image: ndimage.zoom(image, 1.3, order=1)),
        ("turned by 4 degrees", lambda image: ndimage.rotate(image, 4, order=1, cval=-1000)),
        ("8 bits", lambda image: np.rint(np.clip((image + 160) / 400, 0, 1) * 255)),
    ],
)
def test_the_mark_is_found_again(name, change):
    image = slice_of_a_body()
    after = marked(image, 1.0, key=PRODUCT, limits=HU)
    assert p_value(change(after)) < ALPHA, name
    assert p_value(change(image)) > 1e-3, name


def test_a_quarter_of_a_slice_with_strong_noise_is_enough():
    """With Hann's window, and the waves scaled down to the limit, p was 0.002."""
    image = slice_of_a_body(size=(256, 256))
    image = image + np.rint(15 * np.random.default_rng(2).normal(size=image.shape))
    after = marked(image.astype(np.float32), 1.0, key=PRODUCT, limits=HU)
    assert np.abs(after - image).max() <= HU.largest
    assert p_value(after[64:192, 64:192]) < ALPHA


def head_in_noise(deviation):
    """Gray values of a head of 128 with white noise on a dark ground."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:256, :256]
    head = np.hypot((y - 128) / 110, (x - 128) / 95) < 1
    return np.rint(np.where(head, 128 + deviation * rng.normal(size=head.shape), 0.0))


def test_in_strong_noise_gray_values_move_by_two_and_a_quarter_is_enough():
    """With one gray value everywhere, 19 of 39 quarters of synthetic brain CT were found."""
    limits = domains.get("brain_ct").mark_limits
    image = head_in_noise(deviation=13)
    after = marked(image, 1.0, key=PRODUCT, limits=limits)
    assert np.abs(after - image).max() == limits.largest == 2
    assert p_value(after[64:192, 64:192]) < ALPHA
    as_before = marked(image, 1.0, key=PRODUCT, limits=replace(limits, largest=limits.quiet))
    assert p_value(as_before[64:192, 64:192]) > ALPHA


def test_in_weak_noise_gray_values_move_by_one():
    limits = domains.get("brain_ct").mark_limits
    image = head_in_noise(deviation=4)
    assert np.abs(marked(image, 1.0, key=PRODUCT, limits=limits) - image).max() == 1


def test_only_its_own_key_finds_a_mark():
    after = marked(slice_of_a_body(), 1.0, key=OWN, limits=HU)
    assert p_value(after, OWN) < ALPHA
    assert p_value(after, PRODUCT) > 1e-3


@pytest.mark.slow
def test_without_a_mark_the_sums_follow_the_gamma_distribution():
    """One image, many keys: the theory is one of the key, whatever the image looks like."""
    image = slice_of_a_body()
    image[::8] += 30  # a regular structure
    scores, _ = scores_of(image)
    keys = [MarkKey("k", b"%032d" % number) for number in range(400)]
    for band in BANDS:
        totals = [looked_up(scores, frequencies_of(key, band)).sum() for key in keys]
        assert stats.kstest(totals, stats.gamma(WAVES).cdf).pvalue > 0.01, band


def test_ranks_have_mean_one_in_every_ring():
    power = np.random.default_rng(0).exponential(size=(256, 129)) * 1e3
    found = ranks(power)
    assert found[20:100, 20:60].mean() == pytest.approx(1, abs=0.05)
    assert (found >= 0).all()


def summed(volume):
    scored = [scores_of(plane) for plane in volume]
    return sum(scores for scores, _ in scored), scored[0][1]


def noise_slices(count, seed=0, side=256):
    return np.random.default_rng(seed).normal(0, 20, (count, side, side)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_slices_that_repeat_one_another_are_no_evidence(seed):
    first, *others = noise_slices(14, seed)
    nearly_equal = [first + 0.05 * other for other in others]
    assert detect(*summed(nearly_equal), PRODUCT, slices=13).p_value > 1e-3
    apart = noise_slices(16, seed)
    overlapping = [apart[k : k + 3].mean(axis=0) for k in range(14)]
    assert detect(*summed(overlapping), PRODUCT, slices=14).p_value > 1e-3


def test_slices_count_as_what_they_are_worth():
    scores, _ = summed(noise_slices(14))
    assert 9 < independent_slices(scores, 14) <= 14
    one, _ = scores_of(noise_slices(1)[0])
    assert independent_slices(14 * one, 14) < 1.3
    assert independent_slices(one, 1) == 1


def test_slices_too_weak_alone_are_found_together():
    """Independent slices whose waves stand out by little."""
    volume = noise_slices(14)
    scores, side = summed(volume)
    assert detect(scores, side, PRODUCT, slices=14).p_value > 1e-3
    alone, _ = scores_of(volume[0])
    for total, share in ((scores, 14), (alone, 1)):
        at = np.rint(frequencies_of(PRODUCT, COARSE) * total.shape[0]).astype(int)
        for y, x in np.where(at[:, 1:] < 0, -at, at):
            total[y % total.shape[0], x] += 1.5 * share
    assert detect(alone, side, PRODUCT).p_value > ALPHA
    assert detect(scores, side, PRODUCT, slices=14).p_value < ALPHA


def test_a_flat_image_is_not_marked():
    assert p_value(np.zeros((128, 128))) > ALPHA
    assert p_value(np.full((64, 200), 7.0)) > ALPHA


def test_a_key_of_the_user_is_used_once_it_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSYNTH_MARK_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert own_key() is None
    assert writing_key() == PRODUCT
    path = make_key()
    assert path.stat().st_mode & 0o077 == 0
    assert writing_key().name == "own"
    assert writing_key().identifier != PRODUCT.identifier
    with pytest.raises(FileExistsError, match="is there already"):
        make_key()
    path.write_text("short")
    with pytest.raises(ValueError, match="a key has 16 to 4096 bytes, got 5"):
        own_key()
    monkeypatch.setenv("MEDSYNTH_MARK_KEY", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="names .*none"):
        own_key()
