"""Noise as the reference has it: as much, as fine, where it belongs, and nothing at low frequencies."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medsynth import domains
from medsynth.diffusion import samplers, scanner_noise
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance, low_pass
from medsynth.diffusion.noise import PerSampleNoise, generators
from medsynth.diffusion.sampling import guidance_errors, sample
from medsynth.diffusion.scanner_noise import NoiseLikeReference, ScannerNoise
from medsynth.diffusion.schedule import log_snr_linear

PRESET = domains.get("lung_ct")
FACTOR, SIDE = 8, 192
BANDS = ((0.08, 0.15), (0.15, 0.25), (0.25, 0.4))


def grain(std, seed, sigma=0.7):
    """Noise of a soft kernel without low frequencies, (192, 192)."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    noise = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    noise -= ndimage.gaussian_filter(noise, 6, mode="wrap")
    return (std * noise / noise.std()).astype(np.float32)


def chest():
    """Muscle on the left, lung on the right, a strip of air below; no noise, (192, 192) HU."""
    plane = np.full((SIDE, SIDE), 40, np.float32)
    plane[:, SIDE // 2 :] = -860
    plane[-40:] = -1024
    return plane


MUSCLE, LUNG, AIR = np.s_[20:130, 15:80], np.s_[20:130, 112:177], np.s_[165:, :]


def noisy(reference, sample, **options):
    """`sample` after the last touch, in HU, and the levels."""
    unit = [torch.from_numpy(PRESET.intensity.to_unit(v))[None, None] for v in (reference, sample)]
    finish = NoiseLikeReference(
        ScannerNoise(PRESET.noisy_tissues, options.get("level")),
        unit[0],
        intensity=PRESET.intensity,
        factor=FACTOR,
        draw=PerSampleNoise(generators(options.get("seed", 0), [0]), like=unit[0]),
    )
    return PRESET.intensity.from_unit(finish(unit[1])[0, 0].numpy()), finish.levels


def band_power(plane):
    power = np.abs(np.fft.fft2(plane * np.outer(*(np.hanning(n) for n in plane.shape)))) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in plane.shape), indexing="ij"))
    return np.array([power[(radius >= a) & (radius < b)].mean() for a, b in BANDS])


@pytest.mark.parametrize("level", [8, 16, 25])
def test_a_smooth_sample_gets_the_level_and_the_spectrum_of_its_reference(level):
    reference = chest() + grain(level, 0)
    made, _ = noisy(reference, chest() + grain(level / 3, 1))
    for place in (MUSCLE, LUNG):
        assert made[place].std() == pytest.approx(reference[place].std(), rel=0.1)
        ratio = band_power(made[place] - chest()[place]) / band_power(
            reference[place] - chest()[place]
        )
        assert np.all((ratio > 0.65) & (ratio < 1.5)), ratio


def test_each_tissue_has_its_own_noise_and_air_has_none():
    noise = grain(20, 0)
    noise[:, SIDE // 2 :] *= 0.5
    made, levels = noisy(chest() + noise, chest())
    assert made[MUSCLE].std() == pytest.approx(20, rel=0.1)
    assert made[LUNG].std() == pytest.approx(10, rel=0.15)
    assert np.abs(made[AIR] + 1024).max() < 1
    assert set(levels) == {"soft tissue", "lung"}
    wanted, sample, added = levels["soft tissue"][0]
    assert wanted == pytest.approx(20, rel=0.15)
    assert sample == pytest.approx(0, abs=0.01)
    assert added <= wanted


def test_a_finer_kernel_is_followed():
    reference = chest() + grain(15, 0, sigma=0.4)
    finer, coarser = (
        noisy(chest() + grain(15, 0, sigma=sigma), chest())[0] for sigma in (0.4, 1.0)
    )
    share = [band_power(v[MUSCLE])[2] / band_power(v[MUSCLE])[0] for v in (finer, coarser)]
    theirs = band_power(reference[MUSCLE])
    assert share[0] > 4 * share[1]
    assert share[0] == pytest.approx(theirs[2] / theirs[0], rel=0.5)


def test_a_sample_with_more_noise_than_the_reference_is_left_alone():
    sample = chest() + grain(25, 1)
    made, levels = noisy(chest() + grain(8, 0), sample)
    assert np.abs(made - sample)[MUSCLE].max() < 1
    assert levels["soft tissue"][0][2] < 1


def test_a_level_that_is_asked_for_is_met_also_beside_a_drawing_without_noise():
    for reference in (chest() + grain(8, 0), chest()):
        made, _ = noisy(reference, chest(), level=18.0)
        assert made[MUSCLE].std() == pytest.approx(18, rel=0.15)
        assert made[LUNG].std() < made[MUSCLE].std() * 1.1


def test_a_drawing_without_noise_stays_without():
    made, _ = noisy(chest(), chest())
    assert np.abs(made - chest()).max() < 0.1


def test_nothing_is_added_where_the_reference_has_the_say():
    added = noisy(chest() + grain(20, 0), chest())[0] - chest()
    power = np.abs(np.fft.fft2(added[MUSCLE])) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in power.shape), indexing="ij"))
    assert power[(radius > 0) & (radius < 0.03)].mean() < 0.1 * power[radius > 0.1].mean()


def test_guidance_has_the_last_word():
    reference = torch.from_numpy(PRESET.intensity.to_unit(chest() + grain(20, 0)))[None, None]
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", reference, FACTOR)])
    smooth = low_pass.build("dct", size=(SIDE, SIDE), factor=FACTOR)(reference)
    denoiser = Denoiser(
        network=lambda x, *_, **__: smooth.expand_as(x),
        schedule=log_snr_linear(100),
        prediction_type="sample",
    )
    draw = PerSampleNoise(generators(0, [0]), like=reference)
    finish = NoiseLikeReference(
        ScannerNoise(PRESET.noisy_tissues),
        reference,
        intensity=PRESET.intensity,
        factor=FACTOR,
        draw=draw,
    )
    options = {"steps": 2, "noise": torch.zeros_like(reference), "conditions": [guidance]}
    plain, made = (
        sample(denoiser, samplers.build("dpmpp_2m"), finish=f, **options) for f in (None, finish)
    )
    assert guidance_errors([guidance], made)[0]["anatomy"] < 1e-6
    assert PRESET.intensity.from_unit(made[0, 0].numpy())[MUSCLE].std() == pytest.approx(
        20, rel=0.1
    )
    assert PRESET.intensity.from_unit(plain[0, 0].numpy())[MUSCLE].std() < 15


def test_the_seed_decides():
    reference = chest() + grain(15, 0)
    first, again, other = (noisy(reference, chest(), seed=seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.corrcoef((first - chest())[MUSCLE].ravel(), (other - chest())[MUSCLE].ravel())[
        0, 1
    ] == pytest.approx(0, abs=0.1)


def test_variance_is_that_of_the_spectrum():
    white = np.random.default_rng(0).normal(0, 3, (512, 512)).astype(np.float32)
    corners = np.argwhere(np.ones((20, 20))) * 24
    # The median of few frequencies a ring lies below their mean.
    assert scanner_noise.variance(scanner_noise.spectrum(white, corners)) == pytest.approx(
        9, rel=0.05
    )
