"""The parts of a utility study: its file, its training sets, its figures, what it refuses and warns of."""

import re
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from command_line import run
from made_sets import make_set
from made_utility import make_patients, named, write_study
from scipy.stats import norm
from sklearn import metrics

from medsynth.studies.utility import figures, overuse
from medsynth.studies.utility.arms import REAL, draw, list_arms
from medsynth.studies.utility.crops import cut_out, find_places
from medsynth.studies.utility.made_sets import pasted_image, read_set
from medsynth.studies.utility.report.analysis import verdict_of
from medsynth.studies.utility.sources import ImageFact, LabeledImages, read_sources, squared
from medsynth.studies.utility.study import load_study

# Imported late and by the program: a build of torchvision may need its help.
NEEDS_TIMM = pytest.mark.skipif(find_spec("timm") is None, reason="needs timm")


def pool(name, positive, negative, *, patients=None):
    kinds = [True] * positive + [False] * negative
    names = patients or [f"{name}{k}" for k in range(len(kinds))]
    facts = tuple(ImageFact(f"{n}.png", n, kind) for n, kind in zip(names, kinds, strict=True))
    return LabeledImages(name, np.zeros((len(facts), 8, 8), np.uint8), facts)


@pytest.fixture
def study(tmp_path):
    return load_study(write_study(tmp_path, planted=("perfect",), sizes=[4, 8]))


def test_a_written_study_is_read_as_it_is(tmp_path):
    assert run("utility", "init", "-o", tmp_path / "study.yaml") == 0
    for folder in ("real", "test", "synthetic"):
        (tmp_path / folder).mkdir()
    found = load_study(tmp_path / "study.yaml")
    assert (found.seeds, found.epochs, found.network) == (5, 20, "convnext_atto")
    assert [source.name for source in found.synthetic] == ["ours"]


@pytest.mark.slow
@NEEDS_TIMM
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": {"positive": []}}, "task.positive"),
        ({"task": {"positive": "a", "negative": "a"}}, "'a' is positive and negative"),
        ({"sizes": []}, "sizes: missing"),
        ({"epochs": 3, "steps": 3}, "epochs and steps exclude each other"),
        ({"modes": ["adds"]}, "modes.*did you mean 'add'"),
        ({"sede": 1}, "sede: unknown key, did you mean 'seed'"),
        ({"train": {"images": "nowhere"}}, "train.images: no such file or folder"),
        ({"train": {"images": "real", "crop_mm": 30}}, "train.crop_mm: needs train.preset"),
        ({"controls": {"pasted": True}}, "nobody here knows what they were before"),
        ({"network": "convnext_huge"}, "timm has no 'convnext_huge'; try for example convnext"),
        ({"sizes": [999]}, "need 500 positive ones, it has 20"),
        ({"modes": "replace", "sizes": [12]}, "12 cannot take the place of real images"),
        ({"test": {"images": "test", "split": "later"}}, "split: expected train"),
    ],
)
def test_studies_that_are_refused(tmp_path, capsys, change, message):
    file = write_study(tmp_path)
    record = yaml.safe_load(file.read_text()) | change
    if "epochs" not in change:
        record.pop("epochs", None)
    file.write_text(yaml.safe_dump(record))
    assert run("utility", file, "-o", tmp_path / "out", "--progress", "none") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@NEEDS_TIMM
@pytest.mark.parametrize(
    ("table", "row", "leak", "message"),
    [
        # Also where the names are spelled differently: T003 and t3 are one.
        ("test", ",E003,", ",t3,", "test: 1 patients are in the training set too: T003"),
        (
            *("noise", "S005,disc,T000", "S005,disc,T000|E007"),
            "noise: 1 synthetic images were made from test patients: E007 (such as S005-0.png)",
        ),
    ],
)
def test_a_patient_of_the_test_in_what_is_trained_on_is_refused_by_name(
    tmp_path, capsys, table, row, leak, message
):
    file = write_study(tmp_path)
    sources = tmp_path / table / "SOURCES.csv"
    sources.write_text(sources.read_text().replace(row, leak))
    assert run("utility", file, "-o", tmp_path / "out", "--progress", "none") == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@NEEDS_TIMM
def test_images_whose_references_nobody_names_are_taken_on_trust_and_said(tmp_path, capsys):
    file = write_study(tmp_path, planted=())
    make_patients(tmp_path / "made", named("S", 20), seed=3)
    record = yaml.safe_load(file.read_text()) | {"synthetic": {"name": "made", "images": "made"}}
    file.write_text(yaml.safe_dump(record))
    assert run("utility", file, "-o", tmp_path / "out", "--dry-run", "--progress", "json") == 0
    assert "that no test patient guided them is taken on trust" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_the_rows_of_the_table_are_the_sources_and_every_control(study):
    pools = {REAL: pool("r", 6, 6), "perfect": pool("s", 20, 20)}
    names = [arm.name for arm in list_arms(study, pools)]
    assert names == [
        "real only",
        *("perfect, +4", "duplicated real, +4", "augmented real, +4"),
        *("perfect, +8", "duplicated real, +8", "augmented real, +8"),
    ]
    by_epochs = SimpleNamespace(**{**vars(study), "steps": None, "epochs": 10, "batch": 4})
    arms = {arm.name: arm for arm in list_arms(by_epochs, pools)}
    assert arms["real only"].steps == 30
    assert arms["perfect, +8"].steps == arms["real only, as many steps, +8"].steps == 50
    assert arms["real only, as many steps, +8"].extra == 0


def test_a_share_of_positives_holds_in_every_training_set(study):
    tenth = SimpleNamespace(
        **{**vars(study), "positives": 0.1, "sizes": (10,), "modes": ("add", "replace", "only")}
    )
    pools = {REAL: pool("r", 9, 36), "perfect": pool("s", 20, 20)}
    for arm in list_arms(tenth, pools):
        drawn = draw(arm, 0, tenth, pools)
        kinds = [pools[p].facts[k].positive for p, k in zip(drawn.pools, drawn.places, strict=True)]
        assert len(kinds) == arm.real + arm.extra
        assert np.mean(kinds) == pytest.approx(0.1, abs=0.011), arm.name


def test_a_larger_size_holds_the_smaller_one_and_seeds_differ(study):
    pools = {REAL: pool("r", 6, 6), "perfect": pool("s", 20, 20)}
    small, large = (a for a in list_arms(study, pools) if a.kind == "synthetic")

    def made(arm, seed):
        drawn = draw(arm, seed, study, pools)
        return {k for p, k in zip(drawn.pools, drawn.places, strict=True) if p == "perfect"}

    assert made(small, 0) < made(large, 0)
    assert len(made(large, 0)) == 8
    assert made(large, 0) != made(large, 1)


def test_duplicated_images_are_real_ones_in_equal_parts(study):
    pools = {REAL: pool("r", 3, 3), "perfect": pool("s", 20, 20)}
    arm = next(a for a in list_arms(study, pools) if a.name == "duplicated real, +8")
    drawn = draw(arm, 0, study, pools)
    assert set(drawn.pools) == {REAL}
    assert sorted(np.bincount(drawn.places)) == [2, 2, 2, 2, 3, 3]
    assert not drawn.augmented.any()
    arm = next(a for a in list_arms(study, pools) if a.name == "augmented real, +8")
    assert draw(arm, 0, study, pools).augmented.sum() == 8


def test_figures_with_weights_are_those_of_repeated_images():
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + positive, 1)  # rounded: some tie
    weights = rng.integers(0, 4, (5, 60))
    found = figures.figures_of(scores, positive, 0.4, weights)
    for row, counts in enumerate(weights):
        y, s = positive.repeat(counts), scores.repeat(counts)
        called = s >= 0.4
        expected = {
            "auc": metrics.roc_auc_score(y, s),
            "average_precision": metrics.average_precision_score(y, s),
            "f1": metrics.f1_score(y, called),
            "accuracy": metrics.accuracy_score(y, called),
            "sensitivity": metrics.recall_score(y, called),
            "specificity": metrics.recall_score(~y, ~called),
        }
        assert {k: v[row] for k, v in found.items()} == pytest.approx(expected)


def test_the_threshold_is_the_one_with_the_largest_f1():
    rng = np.random.default_rng(1)
    positive = rng.random(40) < 0.4
    scores = np.round(rng.normal(size=40) + positive, 1)
    chosen = figures.best_threshold(scores, positive)
    best = max(metrics.f1_score(positive, scores >= value) for value in scores)
    assert metrics.f1_score(positive, scores >= chosen) == pytest.approx(best)
    assert figures.best_threshold(scores, np.ones(40, bool)) == 0.0


def test_patients_are_drawn_with_all_their_images():
    patients = ["a", "a", "b", "c", "c", "d"]
    positive = np.array([True, False, True, False, False, False])
    drawn = figures.resamples(patients, positive, 3, seed=0, repeats=200)
    assert (drawn.images[0] == 1).all()
    assert (drawn.images[:, 0] == drawn.images[:, 1]).all()
    assert (drawn.images[:, 3] == drawn.images[:, 4]).all()
    assert (drawn.images[:, [0, 2]].sum(axis=1) == 2).all()  # those with the finding stay two
    assert (drawn.seeds.sum(axis=1) == 3).all()


@pytest.mark.slow
def test_the_interval_covers_the_truth():
    """Patients with three images each that are alike; the truth is the AUC of endlessly many patients."""
    rng = np.random.default_rng(2)
    truth, held, times = norm.cdf(1 / np.sqrt(2)), 0, 500
    for k in range(times):
        own = rng.normal(0, np.sqrt(0.6), (80, 1)) + rng.normal(0, np.sqrt(0.4), (80, 3))
        positive = np.arange(80) < 40
        scores = (own + positive[:, None]).ravel()
        patients = [str(n) for n in range(80) for _ in range(3)]
        kinds = positive.repeat(3)
        drawn = figures.resamples(patients, kinds, 1, seed=k, repeats=400)
        found = figures.interval(figures.weighted_auc(scores, kinds, drawn.images))
        held += found.low <= truth <= found.high
    assert held / times == pytest.approx(0.95, abs=0.025)


def test_a_gain_must_be_above_every_control():
    def against(*bounds):
        return [{"value": (a + b) / 2, "low": a, "high": b} for a, b in bounds]

    assert verdict_of(against((0.1, 0.2), (0.01, 0.2))).startswith("gain over real only and over")
    assert verdict_of(against((0.1, 0.2), (-0.01, 0.2))) == (
        "gain over real only, not over every control"
    )
    assert verdict_of(against((-0.1, 0.2), (0.1, 0.2))) == "no gain shown"
    assert verdict_of(against((-0.3, -0.1), (0.1, 0.2))) == "worse than real only"


def test_few_lesions_behind_many_images_are_warned_of():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 32, 32)).astype(np.uint8)
    facts = tuple(ImageFact(f"{k}", f"s{k}", True, ("p1",), f"lesion {k % 2}") for k in range(60))
    real = LabeledImages("real", rng.integers(0, 256, (20, 32, 32)).astype(np.uint8), facts[:20])
    made = LabeledImages("ours", pixels, facts)
    found = overuse.measure_overuse(made, real, most_per_lesion=20)
    assert (found["lesion_sources"], found["images_per_lesion_source"]) == (2, 30)
    assert found["images_per_reference_patient"] == 60
    assert "ours: 30 images per lesion source (2 lesions), more than 20" in found["warnings"][0]
    assert overuse.measure_overuse(made, real, most_per_lesion=30)["warnings"] == []
    copies = LabeledImages("copies", pixels[:2].repeat(30, axis=0), facts)
    found = overuse.measure_overuse(copies, real, most_per_lesion=99)
    assert "another one that is more alike (correlation 1.00)" in found["warnings"][0]


def test_crops_show_each_lesion_and_places_where_there_is_none():
    values = np.full((3, 80, 80), 60.0)
    values[:, 5:75, 5:75] = 120
    lesion, other = np.zeros((2, 3, 80, 80), bool)
    lesion[1, 20:26, 30:36] = lesion[0, 22:24, 31:33] = True
    lesion[2, 60:64, 60:64] = True
    other[:, 40:44, 10:14] = True
    everywhere = SimpleNamespace(
        places={"x": SimpleNamespace(finder=lambda v, *_: v > 100)}, body_threshold=0
    )
    found = find_places(
        values,
        (1.0, 1.0, 1.0),
        [lesion],
        [other],
        preset=everywhere,
        crop_mm=16,
        without=8,
        name="a",
    )
    assert [(p.k, p.center) for p in found if p.positive] == [(1, (22.5, 32.5)), (2, (61.5, 61.5))]
    elsewhere = [p for p in found if not p.positive]
    assert len(elsewhere) == 8
    for place in elsewhere:
        for mask in (lesion, other):
            assert not cut_out(mask[place.k], place.center, 16, 1.0).any()
    crop = cut_out(values[1], (22.5, 32.5), 16, 1.0)
    assert crop.shape == (16, 16)


def test_a_picture_stays_in_proportion():
    square = squared(np.full((10, 20), 200.0), 40)
    assert square.shape == (40, 40)
    assert (square[10:30] == 200).all()
    assert (square[:10] == 0).all()


def test_pasted_is_the_reference_with_every_lesion_in_it():
    before = np.zeros((1, 6, 6), np.float32)
    images = []
    for k in (1, 4):
        plane = before.copy()
        plane[0, k, k] = 50
        images.append(SimpleNamespace(lesion=SimpleNamespace(image=sitk.GetImageFromArray(plane))))
    prepared = SimpleNamespace(
        reference=SimpleNamespace(image=sitk.GetImageFromArray(before)), regions=images
    )
    found = sitk.GetArrayFromImage(pasted_image(prepared))
    assert (np.argwhere(found == 50) == [[0, 1, 1], [0, 4, 4]]).all()
    assert np.count_nonzero(found) == 2


def test_a_set_of_ours_gives_images_with_their_reference_patients(tmp_path, study):
    folder = make_set(tmp_path / "set")
    folder = getattr(folder, "folder", folder)
    images = read_set(folder)
    assert images
    source = SimpleNamespace(
        name="ours", folder=folder, is_set=True, split="", pasted=False, crop_mm=None,
        patients=(), without=(),
    )  # fmt: skip
    found = read_sources([source], study, name="ours")
    rows = {i.id: i for i in images}
    for fact in found.facts:
        image = rows[fact.file.removeprefix("items/")]
        assert fact.positive == bool(image.record["lesions"])
        assert fact.references == image.references
