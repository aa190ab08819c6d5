"""Weight maps, what a reference must be, and coherence along z."""

import math

import numpy as np
import pytest
import torch

from medsynth.diffusion.coherence import coherence
from medsynth.diffusion.guidance import KnownRegion, LowFrequency, feathered, spherical_gaussian

IMAGE = torch.zeros(2, 1, 10, 10)


def test_spherical_gaussian_is_isotropic_in_mm_and_zero_outside_the_patch():
    weights = spherical_gaussian((41, 81), center=(20, 40), diameter=20, spacing=(1.0, 0.5))[0, 0]
    assert float(weights[20, 40]) == 1
    assert float(weights[26, 40]) == pytest.approx(float(weights[20, 52]))  # 6 mm down, 6 mm right
    assert float(weights[25, 40]) == pytest.approx(math.exp(-(5**2) / (2 * 5**2)))
    assert float(weights[30, 40]) == pytest.approx(math.exp(-2))  # the edge: r = 10 mm, s = 5 mm
    assert float(weights[31, 40]) == 0
    assert float(weights[20, 61]) == 0


def test_spherical_gaussian_width_follows_the_patch_and_the_slice():
    small, large = (
        spherical_gaussian((65, 65), center=(32, 32), diameter=d)[0, 0] for d in (16, 32)
    )
    torch.testing.assert_close(small[32, 32 + 4], large[32, 32 + 8])
    beside = spherical_gaussian((65, 65), center=(32, 32), diameter=32, offset=8.0)[0, 0]
    torch.testing.assert_close(beside[32, 32], large[32, 40])
    gone = spherical_gaussian((65, 65), center=(32, 32), diameter=32, offset=17.0)
    assert float(gone.max()) == 0
    with pytest.raises(ValueError, match="positive"):
        spherical_gaussian((9, 9), center=(4, 4), diameter=0)


def test_feather_is_one_inside_and_falls_by_distance_in_mm():
    mask = np.zeros((5, 21, 21), dtype=bool)
    mask[2, 8:13, 8:13] = True
    weights = feathered(mask, spacing=(2.5, 1.0, 0.5), feather=4.0)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights[mask], 1)
    half = 0.5 * (1 + math.cos(math.pi * 2 / 4))
    assert weights[2, 14, 10] == pytest.approx(half)  # 2 rows of 1 mm below
    assert weights[2, 10, 16] == pytest.approx(half)  # 4 columns of 0.5 mm right
    assert weights[3, 10, 10] == pytest.approx(0.5 * (1 + math.cos(math.pi * 2.5 / 4)))
    assert weights[2, 16, 10] == 0
    np.testing.assert_array_equal(feathered(mask, spacing=(1, 1, 1), feather=0), mask)
    assert feathered(np.zeros((4, 4)), spacing=(1, 1), feather=3.0).max() == 0
    with pytest.raises(ValueError, match="3 values"):
        feathered(mask, spacing=(1, 1), feather=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0}, "factor must be an integer from 1"),
        ({"factor": 11}, "to 10"),
        ({"filter": "gauss"}, "unknown filter"),
        ({"reference": IMAGE[0]}, r"\(B, 1, H, W\)"),
        ({"reference": IMAGE / 0}, "NaN"),
        ({"weights": torch.ones(3, 1, 10, 10)}, "weights must be"),
        ({"weights": torch.full((1, 1, 10, 10), 1.2)}, r"lie in \[0, 1\]"),
        ({"weights": torch.full((1, 1, 10, 10), torch.nan)}, r"lie in \[0, 1\]"),
        ({"stop_sigma": -0.1}, "at least 0"),
        ({"stop_fraction": 1.5}, r"\(0, 1\]"),
        ({"stop_fraction": 0.0}, r"\(0, 1\]"),
        ({"stop_sigma": 0.1, "stop_fraction": 0.5}, "stop_sigma or stop_fraction"),
    ],
)
def test_references_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LowFrequency(**({"name": "anatomy", "reference": IMAGE, "factor": 2} | change))


def test_known_region_refuses_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="fit the reference"):
        KnownRegion(IMAGE, torch.ones(1, 1, 9, 10))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        KnownRegion(IMAGE, 2 * torch.ones(1, 1, 10, 10))


def test_coherence_is_the_ratio_of_slice_differences_inside_the_body():
    reference = np.zeros((3, 4, 4), dtype=np.float32)
    reference[1] = 10
    result = np.zeros_like(reference)
    result[1] = 30
    body = np.ones(reference.shape, dtype=bool)
    body[:, :2] = False
    result[:, :2] = np.random.default_rng(0).normal(size=(3, 2, 4)) * 1000  # outside: not looked at
    figures = coherence(result, reference, body, windows={"wide": (-50, 50), "narrow": (0, 20)})
    assert figures["wide"] == {"result": 30.0, "reference": 10.0, "ratio": 3.0}
    assert figures["narrow"]["ratio"] == 2.0  # 30 is seen as 20 in this window
    body[2] = False
    assert coherence(result, reference, body, windows={"wide": (-50, 50)})["wide"]["ratio"] == 3.0


def test_coherence_where_there_is_nothing_to_compare():
    volume = np.zeros((1, 4, 4))
    figures = coherence(volume, volume, np.ones_like(volume), windows={"all": (-1, 1)})
    assert math.isnan(figures["all"]["ratio"])
    with pytest.raises(ValueError, match="one .* shape"):
        coherence(volume, np.zeros((2, 4, 4)), volume, windows={"all": (-1, 1)})
