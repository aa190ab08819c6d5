"""Distances, features, histograms and spectra against known answers; a page that is whole."""

import json
import re

import numpy as np
import pytest
import torch
from added_files import added

from medsynth import domains as presets
from medsynth.cli.app import main
from medsynth.domains import Window
from medsynth.errors import MissingExtra
from medsynth.evaluation import bootstrap, features, figures, held_out, learned_features, page
from medsynth.evaluation.metrics import (
    distances,
    diversity,
    histograms,
    noise,
    spectrum,
    two_sample,
)
from medsynth.evaluation.metrics.base import MetricInputs
from medsynth.evaluation.names import METRICS

PRESET = presets.get("lung_ct")
WINDOW = Window("soft tissue", 40, 400)
PATIENTS = ["a"] * 8 + ["b"] * 8
RESAMPLES = bootstrap.SliceResamples(PATIENTS)


def gaussians(seed, *, shift=0.0, slices=16, patches=12):
    return np.random.default_rng(seed).normal(shift, 1, (slices, patches, 5))


def test_frechet_distance_of_gaussians_with_a_closed_form():
    # N(0, 1) and N(m, s^2) in every dimension: D (m^2 + (1 - s)^2).
    x, y = gaussians(0, slices=2000), 2 * gaussians(1, slices=2000) + 3
    assert distances.frechet(x, y) == pytest.approx(5 * (9 + 1), rel=0.01)


def test_frechet_distance_rotated_covariances():
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    scale = np.array([1, 2, 3, 4, 5.0])
    x, y = gaussians(0, slices=2000) @ turn, (gaussians(1, slices=2000) * scale) @ turn
    assert distances.frechet(x, y) == pytest.approx(((scale - 1) ** 2).sum(), rel=0.02)


def test_kid_is_unbiased_and_grows_with_the_shift():
    same = [_kid(gaussians(s), gaussians(100 + s)) for s in range(60)]
    error = np.std(same) / np.sqrt(len(same))
    assert abs(np.mean(same)) < 3 * error
    assert _kid(gaussians(0), gaussians(1, shift=0.5)) > 10 * np.std(same)


def _kid(x, y):
    return distances._kid(x, y, np.ones((1, len(x))))[0]


def test_kid_of_guided_pairs_is_not_below_zero_for_being_paired():
    # Each synthetic slice is near the slice that guided it: alike by construction, not a better set.
    found = []
    for seed in range(40):
        level = np.random.default_rng(seed).normal(size=(16, 1, 5))
        found.append(_kid(gaussians(seed) + level, gaussians(500 + seed) + level))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_precision_falls_for_outliers_and_recall_for_a_collapsed_mode():
    real = gaussians(0)
    far = distances.compare(real, gaussians(1, shift=6), patients=PATIENTS)
    assert far["precision"]["value"] < 0.1 < far["precision"]["floor"]
    narrow = distances.compare(real, 0.2 * gaussians(1), patients=PATIENTS)
    assert narrow["precision"]["value"] > 0.95
    assert narrow["recall"]["value"] < 0.3 < narrow["recall"]["floor"]


def test_equal_sets_reach_the_floor():
    # Features are scaled by the real ones, so that units do not matter.
    units = np.array([1, 10, 100, 1e-3, 5.0])
    found = distances.compare(gaussians(0) * units, gaussians(1) * units, patients=PATIENTS)
    for name in ("kid", "fid", "precision", "recall"):
        low, high = found[name]["floor_interval"]
        assert low - (high - low) < found[name]["value"] < high + (high - low), name
        low, high = found[name]["interval"]
        assert low <= found[name]["value"] <= high


def test_co_occurrence_of_haralicks_example():
    # Haralick et al. 1973, fig. 3: the 4 x 4 image and its matrices at distance 1.
    image = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])[None]
    counts = {
        "horizontal": [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]],
        "vertical": [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]],
        "left": [[2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0]],
        "right": [[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]],
    }
    expected = sum(np.array(m) for m in counts.values())
    matrix = features.co_occurrence(image, 1)[0]
    assert np.allclose(matrix[:4, :4], expected / expected.sum())
    assert matrix[4:].sum() == matrix[:, 4:].sum() == 0


def test_run_lengths_counted_by_hand():
    image = np.array([[0, 0, 1], [0, 0, 1], [2, 1, 1]])[None]
    runs = features.run_lengths(image)[0]
    # Rows: 00, 1, 00, 1, 2, 11. Columns: 00, 2, 00, 1, 111.
    assert runs[:3].tolist() == [[0, 4, 0], [3, 1, 1], [2, 0, 0]]
    found = features.run_features(image)[0]
    # 11 runs; sum of 1 / length^2 and of length^2; share of runs in pixels.
    assert found[0] == pytest.approx((5 * 1 + 5 / 4 + 1 / 9) / 11)
    assert found[1] == pytest.approx((5 * 1 + 5 * 4 + 9) / 11)
    assert found[4] == pytest.approx(11 / 18)


def test_radiomic_features_of_any_patch_are_finite_and_tell_texture():
    rng = np.random.default_rng(0)
    flat, noisy = np.zeros((3, 48, 48)), rng.uniform(size=(3, 48, 48))
    found = features.radiomic(np.concatenate([flat, noisy, noisy[:, ::-1]]).astype(np.float32))
    assert found.shape == (9, 31)
    assert np.isfinite(found).all()
    assert np.abs(found[3:6] - found[:3]).max() > 1
    # Upside down it is the same texture: both diagonals count.
    assert np.allclose(found[3:6], found[6:], atol=1e-6)


def test_histograms_that_are_shifted_are_that_far_apart():
    values = np.random.default_rng(0).normal(0, 20, (16, 40, 40))
    inside = np.ones(values.shape, dtype=bool)

    def compared(inside):
        both = (histograms.histograms(v, inside, WINDOW) for v in (values + 15, values))
        return histograms.compare(*both, window=WINDOW, resamples=RESAMPLES)

    found = compared(inside)
    assert found["value"] == pytest.approx(15, abs=0.3)
    assert found["interval"][0] <= found["value"] <= found["interval"][1]
    assert found["floor"] < 1
    none = compared(~inside)
    assert none["value"] == 0


def test_power_and_its_interval_for_louder_noise():
    noise = np.random.default_rng(1).normal(40, 20, (16, 96, 96))
    found, drawn = spectrum.compare(
        noise, 40 + 2 * (noise - 40), window=WINDOW, resamples=RESAMPLES
    )
    assert found["value"] == pytest.approx([4, 4, 4, 4], rel=0.01)
    for (low, high), floor, (below, above) in zip(
        found["interval"], found["floor"], found["floor_interval"], strict=True
    ):
        assert low < 4.01
        assert high > 3.99
        assert below < floor < above
    assert drawn["real"].shape == (16, len(spectrum.RINGS) - 1)


def test_noise_power_of_white_noise_is_its_variance_at_every_frequency():
    rng = np.random.default_rng(0)
    ramp = (np.indices((96, 96)).sum(0) - 95) * 0.6  # taken away with the plane
    real = 40 + ramp + rng.normal(0, 10, (8, 96, 96))
    louder = 40 + ramp + rng.normal(0, 15, (8, 96, 96))
    inside = np.ones(real.shape, dtype=bool)
    options = {"limits": (-50, 130), "patients": PATIENTS[:8]}
    found, drawn = noise.noise_power(real, louder, inside, **options)
    assert found["std_real"] == pytest.approx(10, rel=0.05)
    assert found["value"] == pytest.approx(1.5, rel=0.05)
    assert found["floor_interval"][0] < 1 < found["floor_interval"][1]
    assert np.allclose(drawn["real"].mean(0)[2:], 100, rtol=0.2)
    assert noise.noise_power(real, louder, inside, limits=(500, 600), patients="ab" * 4) is None


@pytest.mark.slow
def test_ms_ssim_is_1_for_a_copy_and_diversity_sees_a_collapse():
    rng = np.random.default_rng(0)
    real = 40 + 60 * rng.normal(size=(8, 64, 64)).astype(np.float32)
    assert diversity.ms_ssim(real[:2] / 200 + 0.5, real[:2] / 200 + 0.5) == pytest.approx(1)
    collapsed = np.repeat(real[:1], 8, axis=0) + rng.normal(0, 2, real.shape)
    found = diversity.compare(real, collapsed, window=WINDOW, patients=["a"] * 8)
    assert found["value"] > 0.9 > 0.3 > found["floor"]


def test_pairs_are_of_one_patient_where_there_are_any():
    pairs = diversity.draw_pairs(["a", "b", "a", "b"], seed=0)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 2), (1, 3)]
    assert len(diversity.draw_pairs(list("abcd"), seed=0)) == 6


def test_halves_hold_every_patient_and_every_other_slice():
    half = bootstrap.halves(["a", "a", "a", "b", "b", "c", "d"])
    assert half.tolist() == [True, False, True, True, False, True, False]


def test_slices_are_chosen_from_every_patient_in_equal_parts():
    patients = ["a"] * 40 + ["b"] * 3 + ["c"] * 20
    chosen = held_out.choose(patients, 15)
    assert len(set(chosen.tolist())) == 15
    assert [sum(patients[k] == p for k in chosen) for p in "abc"] == [6, 3, 6]
    assert 0 not in chosen
    assert 39 not in chosen
    assert len(held_out.choose(patients, 1000)) == len(patients)


@pytest.mark.slow
def test_features_are_learned_that_tell_what_they_were_taught():
    # Stripes: every quarter turn but the half turn shows.
    planes = np.zeros((12, 96, 96), dtype=np.float32)
    planes[:] = 40 + 100 * np.sign(np.sin(np.arange(96) / 3))[:, None]
    planes += np.arange(96) * 1.0  # and a slope, so that the half turn shows too
    network = learned_features.learn(planes, np.ones(planes.shape, bool), window=WINDOW, steps=80)
    assert network.skill > 0.75  # by chance: 0.25
    patches = np.random.default_rng(0).uniform(size=(5, 48, 48)).astype(np.float32)
    assert network(patches).shape == (5, 64)
    assert np.array_equal(network(patches), network(patches))


def test_imagenet_features_say_what_they_need(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models", None)
    with pytest.raises(MissingExtra, match="pip install torchvision"):
        learned_features.ImageNet(tmp_path / "resnet50.pth")


def test_pairs_come_back_and_only_for_what_they_were_made_with(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 2, 8, 8)).astype(np.float32)
    pairs = held_out.Pairs(values[0], values[1], (0.1, 0.2), ("a", "b"))
    path = tmp_path / "pairs.npz"
    held_out.save_pairs(pairs, path, made_by={"nfe": 20, "seed": 1})
    again = held_out.load_pairs(path, made_by={"nfe": 20, "seed": 1})
    assert np.array_equal(again.real, pairs.real)
    assert np.array_equal(again.synthetic, pairs.synthetic)
    assert (again.errors, again.patients) == (pairs.errors, pairs.patients)
    with pytest.raises(ValueError, match="nfe 20, now 10 is asked for; run without --reuse"):
        held_out.load_pairs(path, made_by={"nfe": 10, "seed": 1})
    with pytest.raises(FileNotFoundError, match="run once without --reuse"):
        held_out.load_pairs(tmp_path / "none.npz", made_by={})


@pytest.mark.parametrize("name", ["lung_ct", "chest_xray"])
@pytest.mark.slow
def test_every_figure_of_a_domain_is_measured_and_on_the_page(name, tmp_path):
    """A domain in HU with three windows, and one in gray values with one."""
    preset = presets.get(name)
    rng = np.random.default_rng(0)
    disc = np.hypot(*(np.indices((128, 128)) - 63.5)) < 60
    level = (40, -1000) if name == "lung_ct" else (120, 0)
    real = np.where(disc, level[0], level[1]) + rng.normal(0, 6, (12, 128, 128)) * disc
    synthetic = real + rng.normal(0, 6, real.shape) * disc
    pairs = held_out.Pairs(
        real.astype(np.float32), synthetic.astype(np.float32), (1e-6,) * 12, ("a",) * 6 + ("b",) * 6
    )
    material = MetricInputs(
        pairs,
        preset,
        training=lambda: real.astype(np.float32),
        settings={
            "two_sample": two_sample.TrainingBudget(
                channels=(8, 8), patch=48, places=4, scored=4, passes=1
            ),
            "features": 5,
        },
    )
    windows = {window.name for window in preset.windows}
    found, drawn = figures.measure(material)
    assert tuple(found) == tuple(METRICS)
    for key in ("two_sample", "spectrum", "histograms", "diversity"):
        assert set(found[key]["windows"]) == windows
    assert set(found["features"]["sets"]) == {"radiomic", "domain"}
    assert set(found["features"]["sets"]["radiomic"]["windows"]) == windows
    json.dumps(found, allow_nan=False)
    record = {
        **{"weights": "made-up.safetensors", "patients": ["a", "<b>"], "slices": 12, "factor": 8},
        **{"nfe": 20, "sampler": "ddim", "guidance_error": 1e-6, "figures": found},
    }
    page.write_page(tmp_path / "p.html", record=record, pairs=pairs, drawn=drawn, preset=preset)
    text = (tmp_path / "p.html").read_text()
    assert "{{" not in text
    assert "<b>," not in text
    for entry in METRICS.values():
        assert entry.title in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)  # nothing outside the file
    auc = found["two_sample"]["windows"][preset.windows[0].name]["auc"]
    assert f"<b>{auc:.2f}</b>" in text


def test_a_figure_that_does_not_exist_is_refused():
    pairs = held_out.Pairs(np.zeros((4, 8, 8)), np.zeros((4, 8, 8)), (0.0,) * 4)
    with pytest.raises(ValueError, match="no figure 'fidelity', expected some of two_sample"):
        figures.measure(MetricInputs(pairs, PRESET), only=["fidelity"])


MEAN = '''
"""How far the mean of the body is off."""

from medsynth.evaluation import plots
from medsynth.evaluation.metrics.base import Measured, Metric, TableRow


def measure(inputs):
    ours, theirs = (p[inputs.inside] for p in (inputs.pairs.synthetic, inputs.pairs.real))
    curve = {"frequency": [0.1, 0.2], "real": [[1, 2], [2, 3]], "synthetic": [[2, 2], [2, 2]]}
    import numpy as np

    curves = {"all": {key: np.array(values) for key, values in curve.items()}}
    return Measured({"value": float(ours.mean() - theirs.mean())}, curves)


def rows(record):
    yield TableRow("mean, synthetic - real", "body", record)


def picture(curves, preset):
    return plots.overlay_spectra(curves)


METRIC = Metric(
    title="Mean of the body",
    note="Zero is equal.",
    measure=measure,
    rows=rows,
    picture=picture,
    name="mean_value",
)
'''


@pytest.mark.slow
def test_a_metric_is_one_file(tmp_path, capsys):
    """Named by --only, measured, in the table and on the page with its note and picture."""
    disc = np.hypot(*(np.indices((64, 64)) - 31.5)) < 28
    real = np.where(disc, 40.0, -1000.0) * np.ones((4, 1, 1))
    pairs = held_out.Pairs(real, real + 12.5, (0.0,) * 4)
    with added(METRICS, "mean_of_body", MEAN, tmp_path / "more"):
        found, drawn = figures.measure(MetricInputs(pairs, PRESET), only=["mean_value"])
        assert found == {"mean_value": {"value": pytest.approx(12.5)}}
        record = {
            **{"weights": "none", "patients": ["a"], "slices": 4, "factor": 8, "nfe": 20},
            **{"sampler": "ddim", "guidance_error": 0.0, "figures": found},
        }
        page.write_page(tmp_path / "p.html", record=record, pairs=pairs, drawn=drawn, preset=PRESET)
        with pytest.raises(SystemExit):
            main(["evaluate", "--help"])
    text = (tmp_path / "p.html").read_text()
    assert "<h2>Mean of the body</h2>" in text
    assert "<p>Zero is equal.</p>" in text
    assert "Mean of the body: real (black), synthetic (orange)" in text
    assert "<td>mean, synthetic - real</td><td><b>12.50</b>" in text
    assert "mean_value" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no figure 'mean_value'"):
        figures.measure(MetricInputs(pairs, PRESET), only=["mean_value"])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
