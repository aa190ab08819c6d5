"""The paired two-sample test finds what was planted, and nothing where nothing is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from medsynth.domains import Window
from medsynth.evaluation import bootstrap, patches
from medsynth.evaluation.metrics import two_sample
from medsynth.evaluation.small_network import small_network
from medsynth.events import Stage, ignore

WINDOW = Window("soft tissue", 40, 400)
QUICK = two_sample.TrainingBudget(
    channels=(16, 32, 64), patch=48, places=8, scored=8, passes=20, batch=16
)
PATIENTS = ["a"] * 6 + ["b"] * 6
INSIDE = np.ones((12, 96, 96), dtype=bool)


def textures(seed):
    """Tissue with a texture of 2 pixels, (12, 96, 96) HU; another one for another seed."""
    noise = np.random.default_rng(seed).normal(size=(12, 96, 96))
    # A Gaussian of 1 pixel leaves 1 / (4 pi) of white noise's variance. To scale by what was drawn
    # would tie the slices together: one patient's would be strong where the other's are weak.
    fine = ndimage.gaussian_filter(noise, (0, 1, 1), mode="wrap") * np.sqrt(4 * np.pi)
    return (40 + 30 * fine).astype(np.float32)


def test_of(real, synthetic, **options):
    found = two_sample.paired_test(
        real, synthetic, INSIDE, windows=[WINDOW], patients=PATIENTS, **{"budget": QUICK, **options}
    )
    return found["windows"]["soft tissue"]


test_of.__test__ = False


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["blur", "noise"])
def test_a_slight_fault_is_found_in_patients_not_learned_from(fault):
    real, synthetic = textures(0), textures(1)
    if fault == "blur":
        synthetic = ndimage.gaussian_filter(synthetic, (0, 0.6, 0.6))
    else:
        synthetic = synthetic + np.random.default_rng(2).normal(0, 8, synthetic.shape)
    found = test_of(real, synthetic)
    assert found["auc"] > 0.95
    assert found["interval"][0] > 0.9
    assert found["floor"]["interval"][0] < 0.5 < found["floor"]["interval"][1]


@pytest.mark.slow
def test_equal_distributions_are_not_told_apart():
    found = test_of(textures(4), textures(5))
    assert found["interval"][0] < 0.5 < found["interval"][1]
    assert abs(found["auc"] - 0.5) < 0.1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figure():
    real, synthetic = textures(0), textures(1)
    few = {"seed": 3, "budget": replace(QUICK, places=4, scored=4, passes=2)}
    assert test_of(real, synthetic, **few) == test_of(real, synthetic, **few)


FEW = replace(QUICK, places=4, scored=4, passes=2)


def tests_of(systems, **options):
    return two_sample.paired_tests(
        textures(0), systems, INSIDE, windows=[WINDOW], patients=PATIENTS, budget=FEW, **options
    )


tests_of.__test__ = False


@pytest.mark.slow
def test_several_systems_get_what_each_gets_alone():
    systems = {"one": textures(1), "other": textures(2)}
    together = tests_of(systems)
    assert together["one"]["windows"] != together["other"]["windows"]
    for name, synthetic in systems.items():
        assert together[name] == tests_of({name: synthetic})[name]


def test_the_floor_of_several_systems_is_measured_once(monkeypatch):
    fits = []

    def fit(ours, theirs, *, folds, budget, seed, stage):
        fits.append((ours.clone(), theirs.clone()))
        return {"auc": len(fits)}

    monkeypatch.setattr(two_sample, "_cross_fit", fit)
    found = tests_of({"one": textures(1), "other": textures(2)})
    assert [f["windows"]["soft tissue"]["auc"] for f in found.values()] == [2, 3]
    assert [f["windows"]["soft tissue"]["floor"] for f in found.values()] == [{"auc": 1}] * 2
    # All meet the same real patches; those of the floor lie elsewhere.
    assert all(torch.equal(fits[0][1], theirs) for _, theirs in fits)
    assert not torch.equal(fits[0][0], fits[0][1])


@pytest.mark.slow
def test_it_says_how_far_it_is_through_all_systems():
    events = []
    tests_of({"one": textures(1), "other": textures(2)}, listener=events.append)
    done = [event for event in events if event.kind == "progress"]
    passes = 3 * 2 * FEW.passes  # floor and two systems, two folds
    assert [event.done for event in done] == list(range(1, passes + 1))
    assert {event.total for event in done} == {passes}
    assert done[passes // 2].seconds_left > 0
    assert done[-1].seconds_left == 0


@pytest.mark.slow
def test_bfloat16_finds_what_float32_finds(monkeypatch):
    real, synthetic = textures(0), ndimage.gaussian_filter(textures(1), (0, 0.4, 0.4))
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(two_sample, "fastest_dtype", lambda device, dtype=dtype: dtype)
        found.append(test_of(real, synthetic))
    exact, fast = found
    assert exact["auc"] != fast["auc"]
    assert exact["interval"][0] < fast["auc"] < exact["interval"][1]
    assert exact["auc"] > 0.6


def test_digits_below_a_unit_give_nothing_away():
    real = np.rint(textures(0))
    jitter = np.random.default_rng(1).uniform(-0.4, 0.4, real.shape)
    assert np.array_equal(patches.windowed(real + jitter, WINDOW), patches.windowed(real, WINDOW))


def test_nobody_is_tested_who_was_learned_from():
    patients = ["a"] * 3 + ["b"] * 5 + ["c"] * 4 + ["d"] * 2
    folds, words = two_sample.split_folds(patients)
    assert "folds of patients" in words
    assert sorted(np.concatenate([tested for _, tested in folds])) == list(range(14))
    for learned, tested in folds:
        assert not {patients[k] for k in learned} & {patients[k] for k in tested}
        assert len(learned) + len(tested) == 14


def test_one_patient_is_split_into_blocks_with_a_gap():
    folds, words = two_sample.split_folds(["a"] * 12)
    assert "blocks" in words
    assert sorted(np.concatenate([tested for _, tested in folds])) == list(range(12))
    for learned, tested in folds:
        distance = np.abs(learned[:, None] - tested).min()
        assert distance == 1 + two_sample.GAP


def test_patches_lie_in_the_body_and_slices_without_body_have_none():
    inside = np.zeros((6, 96, 96), dtype=bool)
    inside[:5, 30:90, 30:90] = True
    places = patches.draw_places(inside, count=20, seed=0)
    assert [len(p) for p in places] == [20] * 5 + [0]
    share = patches.cut(inside.astype(float), places).mean(axis=(1, 2))
    assert share.min() >= patches.BODY_SHARE
    with pytest.raises(ValueError, match="only 1 of 2 slices have a place"):
        patches.draw_places(inside[4:], count=20, seed=0)


def test_auc_of_scores_with_a_known_answer():
    ours, theirs = np.array([[3.0], [1.0]]), np.array([[2.0], [1.0]])
    above = two_sample._share_above(ours, theirs)
    assert above.tolist() == [[1, 1], [0, 0.5]]
    auc = two_sample._weighted_auc(above, np.ones((2, 2)), np.array([[1, 1], [2, 0], [0, 2]]))
    assert auc.tolist() == [0.625, 1, 0.5]


def test_resamples_keep_each_patient_and_draw_neighbors_together():
    weights = bootstrap.slice_weights(PATIENTS, seed=0, repeats=400, block=2)
    assert (weights[:, :6].sum(1) == 6).all()
    assert (weights[:, 6:].sum(1) == 6).all()
    assert weights.std(axis=0).min() > 0.5
    # Drawn in pairs, neighbors come together more often than slices that are apart.
    near = np.corrcoef(weights[:, 1], weights[:, 2])[0, 1]
    assert near > 0.2 > np.corrcoef(weights[:, 1], weights[:, 4])[0, 1]


@pytest.mark.parametrize("each", [1, 2])
def test_patients_of_one_block_are_drawn_whole(each):
    """Else every resample would hold each of them as often, and no interval would have a width."""
    patients = np.repeat(np.arange(24), each).tolist()
    weights = bootstrap.slice_weights(patients, seed=0, repeats=4000)
    assert (weights.sum(axis=1) == 24 * each).all()
    assert (weights.reshape(-1, 24, each) == weights.reshape(-1, 24, each)[..., :1]).all()
    values = np.random.default_rng(1).normal(size=24)
    spread = (weights.reshape(-1, 24, each)[..., 0] @ values / 24).std()
    assert spread == pytest.approx(values.std() / 24**0.5, rel=0.05)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for seed in range(200):
        values = rng.normal(size=40)
        weights = bootstrap.slice_weights([0] * 40, seed=seed, repeats=200, block=1)
        low, high = bootstrap.interval(weights @ values / 40)
        covered += low < 0 < high
    assert 0.88 < covered / 200 < 0.98


def test_a_slice_is_scored_by_as_many_patches_as_the_judge_says(monkeypatch):
    """Its first two patches give every slice away, the other two say the contrary."""
    monkeypatch.setattr(two_sample, "_train", lambda *_, **__: None)
    monkeypatch.setattr(two_sample, "_scores", lambda _, patches: patches[..., 0, 0, 0].numpy())
    ours = torch.tensor([1.0, 1.0, -9.0, -9.0]).expand(8, 4)[..., None, None, None]
    folds = [(np.arange(4), np.arange(4, 8)), (np.arange(4, 8), np.arange(4))]
    for scored, auc in ((2, 1.0), (4, 0.0)):
        budget = replace(QUICK, places=4, scored=scored)
        with Stage("", total=2, listener=ignore) as stage:
            found = two_sample._cross_fit(
                ours, -ours, folds=folds, budget=budget, seed=0, stage=stage
            )
        assert found["auc_slice"] == auc
        assert found["interval_slice"] == [auc, auc]
        assert found["auc"] == 0.25


def test_everyone_is_learned_from_once_in_a_pass():
    batches = list(two_sample._batches(70, 2, 3, torch.Generator().manual_seed(0)))
    assert [len(drawn) for drawn in batches] == [35] * 6
    for one in range(0, 6, 2):
        assert sorted(torch.cat(batches[one : one + 2]).tolist()) == list(range(70))
    assert not torch.equal(batches[0], batches[2])


def test_the_judge_is_as_wide_as_it_says_and_named_in_the_record():
    widths = two_sample.TrainingBudget().channels
    network = small_network(2, 1, torch.Generator().manual_seed(0), widths=widths)
    of_layers = [layer.out_channels for layer in network if isinstance(layer, torch.nn.Conv2d)]
    assert of_layers == [24, 48, 96, 128]
    assert network(torch.zeros(3, 2, 64, 64)).shape == (3, 1)
    quick = replace(QUICK, places=2, scored=1, passes=1)
    found = two_sample.paired_test(
        textures(0), textures(1), INSIDE, windows=[WINDOW], patients=PATIENTS, budget=quick
    )
    assert found["discriminator"].startswith(
        "network of 16-32-64 channels, 48 x 48 patches, 2 a slice"
    )
    assert found["patch_pixels"] == 48


@pytest.mark.parametrize("fault", [{"places": 8, "scored": 9}, {"scored": 0}, {"passes": 0}])
def test_a_judge_that_cannot_be_is_refused(fault):
    with pytest.raises(ValueError, match="a discriminator needs at least 1"):
        replace(QUICK, **fault)
