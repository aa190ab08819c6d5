"""The torch-free low-pass filter of the live preview is the filter of the synthesis."""

import subprocess
import sys

import numpy as np
import pytest

from medsynth.domains import get
from medsynth.images.low_pass_preview import LowPassPreview


@pytest.mark.parametrize(("shape", "factor"), [((64, 64), 8), ((50, 70), 7), ((33, 41), 33)])
def test_equals_the_torch_operator(shape, factor):
    torch = pytest.importorskip("torch")
    from medsynth.diffusion.guidance import low_pass

    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = low_pass.build("dct", size=shape, factor=factor)(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(LowPassPreview(shape, factor)(image), expected, atol=2e-5)


def test_filters_in_the_network_units_of_the_preset():
    intensity = get("lung_ct").intensity
    image = np.where(np.arange(64) < 32, -900.0, 60.0) * np.ones((64, 1))
    expected = intensity.from_unit(
        np.clip(LowPassPreview((64, 64), 8)(intensity.to_unit(image)), -1, 1)
    )
    np.testing.assert_array_equal(LowPassPreview((64, 64), 8, intensity)(image), expected)
    # An edge through the steep part of the map must not look like the same edge filtered in HU.
    assert np.abs(expected - LowPassPreview((64, 64), 8)(image)).max() > 20


def test_factor_one_keeps_everything_and_a_stack_is_filtered_slice_by_slice():
    stack = np.random.default_rng(1).normal(size=(3, 20, 24)).astype(np.float32)
    np.testing.assert_allclose(LowPassPreview((20, 24), 1)(stack), stack, atol=1e-5)
    low = LowPassPreview((20, 24), 5)
    np.testing.assert_allclose(low(stack)[2], low(stack[2]), atol=1e-6)


@pytest.mark.parametrize("factor", [0, 21])
def test_refuses_a_factor_outside_the_image(factor):
    with pytest.raises(ValueError, match="from 1 to 20"):
        LowPassPreview((20, 24), factor)


def test_never_imports_torch():
    code = "import sys, medsynth.images.low_pass_preview; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
