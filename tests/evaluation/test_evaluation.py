"""Figures with known answers: equal images, doubled noise, shifted tissue."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medsynth import domains as presets
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.evaluation import benchmark, held_out
from medsynth.evaluation.bootstrap import SliceResamples
from medsynth.evaluation.metrics import tissues

PRESET = presets.get("lung_ct")
BONE = PRESET.windows[2]


@pytest.fixture(scope="module")
def planes():
    """Four round bodies with lung inside and noise of 10 HU everywhere, (4, 128, 128)."""
    rows, columns = np.indices((128, 128)) - 63.5
    radius = np.hypot(rows, columns)
    clean = np.select([radius < 35, radius < 45, radius < 55], [-850, 50, -105], -1000)
    noise = np.random.default_rng(0).normal(0, 10, (4, 128, 128))
    return (clean + noise).astype(np.float32)


def test_equal_images_have_a_power_ratio_of_1(planes):
    assert held_out.power_ratio(planes, planes, window=BONE) == pytest.approx([1, 1, 1, 1])


def test_noise_of_twice_the_size_has_four_times_the_power():
    noise = np.random.default_rng(1).normal(400, 20, (6, 128, 128))
    louder = 400 + 2 * (noise - 400)
    ratio = held_out.power_ratio(louder, noise, window=BONE)
    assert ratio == pytest.approx([4, 4, 4, 4], rel=1e-3)


def test_tissue_peaks_are_found_in_hu(planes):
    inside = held_out.body(planes, preset=PRESET)
    for name, tissue in PRESET.tissues.items():
        found = tissues.compare_peaks(
            planes,
            planes + 12,
            inside,
            tissue=tissue,
            resamples=SliceResamples(["a"] * len(planes)),
        )
        assert found["real"] == pytest.approx(
            {"lung": -850, "fat": -105, "muscle": 50}[name], abs=3
        )
        assert found["value"] == pytest.approx(12, abs=3)
        assert found["interval"][0] <= found["value"] <= found["interval"][1]
        assert abs(found["floor"]) <= 4


def test_the_body_is_found_without_the_air_around_it(planes):
    inside = held_out.body(planes, preset=PRESET)
    assert inside[:, 64, 64].all()
    assert not inside[:, :5].any()


def test_texture_is_what_the_noise_was(planes):
    # A Gaussian of 1.5 pixels takes all but 1 / (4 pi 1.5^2) of white noise's variance with it.
    assert tissues.texture(planes, PRESET.tissues["lung"]) == pytest.approx(10, rel=0.08)


def test_the_overhead_is_a_share_of_the_network():
    assert benchmark.Overhead(network=0.2, guidance=0.001, sampler=0.0).share == pytest.approx(
        0.005
    )


@pytest.mark.slow
def test_the_benchmark_slice_is_the_phantom_in_network_units():
    reference = benchmark.phantom_slice(PRESET)
    assert reference.shape == (1, 1, 512, 512)
    assert -1.0 <= float(reference.min()) < -0.95
    assert torch.isfinite(reference).all()
    middle = PRESET.intensity.from_unit(reference[0, 0, 200:312, 200:312].numpy())
    assert middle.max() > 0 > middle.min()


def test_the_published_baseline_is_timed_without_our_refiner(monkeypatch):
    seen = []

    class Refiner:
        factor = 4

        def __call__(self, x0):
            seen.append(x0)
            return torch.zeros_like(x0)

    def load(weights, *, device, dtype):
        levels = schedule.log_snr_linear()
        return Denoiser(lambda x, t: torch.zeros_like(x), levels, refiner=Refiner())

    monkeypatch.setattr(benchmark, "load_denoiser", load)
    monkeypatch.setattr(benchmark, "phantom_slice", lambda preset: torch.zeros(1, 1, 32, 32))
    ours, ilvr = (replace(m, steps=2) for m in (benchmark.OURS, benchmark.BASELINES[-1]))
    assert ilvr.name.startswith("ILVR")
    for method, refined in ((ours, 1), (ilvr, 0)):
        seen.clear()
        benchmark.run(Path("w"), preset=PRESET, device="cpu", methods=(method,), repeats=1)
        assert len(seen) == refined


@pytest.mark.slow
def test_peak_memory_grows_by_what_is_held():
    # In a process of its own: this one's peak may lie far above what it holds now.
    program = (
        "import numpy as np; from medsynth.evaluation.benchmark import peak_memory_bytes as peak; "
        "before = peak(); held = np.ones(40_000_000); print(held.nbytes, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    held, grown = map(int, done.stdout.split())
    assert held * 0.5 < grown < held * 1.5
