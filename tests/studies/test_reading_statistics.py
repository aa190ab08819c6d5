"""Figures of a reading study against printed numbers, brute force and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm
from van_dyke import van_dyke

from medsynth.studies.reading import planning
from medsynth.studies.reading.statistics import (
    accuracy,
    agreement,
    crossed,
    detection,
    intervals,
    mrmc,
)

# Van Dyke et al. 1993 as OR-DBM MRMC and MRMCaov print it: AUCs of five readers in two treatments,
# jackknife covariances, and what Obuchowski and Rockette's test makes of them.
VAN_DYKE = np.array(
    [
        [0.91964573, 0.8587762, 0.9038647, 0.9731079, 0.8297907],
        [0.9478261, 0.9053140, 0.9217391, 0.9993559, 0.9299517],
    ]
)
COVARIANCES = {"cov2": 0.0003440748, "cov3": 0.0002390284}
OWN_COV2 = np.array([0.0004839618, 0.0002041879])


def test_obuchowski_rockette_gives_the_printed_test():
    found = mrmc.obuchowski_rockette(VAN_DYKE, COVARIANCES, own_cov2=OWN_COV2)
    assert found.f == pytest.approx(4.456319, abs=1e-5)
    assert found.df == pytest.approx(15.25967, abs=1e-4)
    assert found.p == pytest.approx(0.05166569, abs=1e-6)
    difference = found.difference
    assert difference.value == pytest.approx(-0.04380032, abs=1e-7)
    assert difference.se == pytest.approx(0.02074862, abs=1e-7)
    assert (difference.low, difference.high) == pytest.approx((-0.08795963, 0.00035898), abs=1e-6)


def test_obuchowski_rockette_gives_the_printed_interval_of_each_treatment():
    first, second = mrmc.obuchowski_rockette(VAN_DYKE, COVARIANCES, own_cov2=OWN_COV2).treatments
    assert (first.value, first.se) == pytest.approx((0.8970370, 0.03317360), abs=1e-6)
    assert first.df == pytest.approx(12.74465, abs=1e-4)
    assert (first.low, first.high) == pytest.approx((0.8252236, 0.9688505), abs=1e-5)
    assert (second.low, second.high) == pytest.approx((0.8941378, 0.9875369), abs=1e-5)


def test_the_printed_figures_come_from_the_ratings_too():
    """AUCs of every reader, and the test with covariances by the jackknife, as the program has it."""
    scores, positive = van_dyke()
    ten = scores.reshape(10, 114)
    assert mrmc.aucs(ten, positive).theta == pytest.approx(VAN_DYKE.ravel(), abs=1e-7)
    left_out = [np.arange(114) != k for k in range(114)]
    values = np.array([mrmc.aucs(ten[:, keep], positive[keep]).theta for keep in left_out])
    off = values - values.mean(axis=0)
    parts = mrmc.covariance_parts(off.T @ off * 113 / 114, 2)
    assert parts["cov2"] == pytest.approx(COVARIANCES["cov2"], abs=1e-10)
    assert parts["cov3"] == pytest.approx(COVARIANCES["cov3"], abs=1e-10)
    found = mrmc.obuchowski_rockette(mrmc.aucs(ten, positive).theta.reshape(2, 5), parts)
    assert (found.f, found.df) == pytest.approx((4.456319, 15.25967), abs=1e-4)


def test_delong_and_the_u_statistic_agree_with_the_printed_standard_errors():
    """Other estimates of the same variance: within 1 % of the jackknife's."""
    scores, positive = van_dyke()
    for treatment, se in zip(scores, (0.03317360, 0.02156637), strict=True):
        _, variance = mrmc.u_statistic(treatment, positive)
        assert np.sqrt(variance) == pytest.approx(se, rel=0.01)
        _, variance, _ = mrmc.aucs(treatment, positive).of_any_readers()
        assert np.sqrt(variance) == pytest.approx(se, rel=0.01)
    assert mrmc.compare(scores, positive).difference.se == pytest.approx(0.02074862, rel=0.01)


def test_the_readers_of_one_treatment_are_the_same_model():
    """The figure of a study without treatments is the interval of one treatment."""
    rng = np.random.default_rng(4)
    positive = np.arange(60) < 25
    scores = rng.normal(size=(4, 60)) + positive * rng.normal(1, 0.8, (4, 1)) + rng.normal(size=60)
    both = mrmc.compare(np.stack([scores, rng.normal(size=(4, 60))]), positive)
    value, variance, df = mrmc.aucs(scores, positive).of_any_readers()
    alone = both.treatments[0]
    assert (alone.value, alone.se**2, alone.df) == pytest.approx((value, variance, df))


def test_the_u_statistic_is_the_sum_over_all_pairs_of_terms():
    rng = np.random.default_rng(0)
    positive = np.arange(9) < 4
    scores = rng.integers(0, 5, (3, 9)).astype(float)
    wins = mrmc.kernel(scores[:, positive], scores[:, ~positive])
    places = list(product(*map(range, wins.shape)))
    products: dict[tuple[bool, ...], list[float]] = {}
    for a, b in product(places, places):
        shared = tuple(x == y for x, y in zip(a, b, strict=True))
        products.setdefault(shared, []).append(wins[a] * wins[b])
    means = {key: np.mean(values) for key, values in products.items()}
    total = len(places) ** 2
    expected = sum(len(products[k]) / total * means[k] for k in means) - means[(False,) * 3]
    assert mrmc.u_statistic(scores, positive) == pytest.approx((wins.mean(), expected))


@pytest.mark.slow
def test_the_u_statistic_is_unbiased():
    """Mean of the estimates against the variance that is really there."""
    rng = np.random.default_rng(1)
    positive = np.arange(30) < 15
    values, variances = [], []
    for _ in range(1500):
        skill = rng.normal(1, 0.3, (4, 1))
        scores = rng.normal(size=(4, 30)) + rng.normal(size=30) + skill * positive
        value, variance = mrmc.u_statistic(scores, positive)
        values.append(value)
        variances.append(variance)
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.08)


def test_the_auc_of_scores_that_tie_counts_halves():
    positive = np.array([True, True, False, False])
    figure = mrmc.auc_of_reader(np.array([3.0, 1.0, 1.0, 0.0]), positive)
    assert figure.value == pytest.approx(3.5 / 4)


# Krippendorff's example of four observers and twelve units, which Gwet uses too; 0: no answer.
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def test_agreement_gives_the_printed_figures():
    counts = agreement.counts_of(FOUR_OBSERVERS - 1, 5)
    assert agreement.alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert agreement.gwet_ac1(counts) == pytest.approx(0.77544, abs=5e-6)
    assert agreement.observed(counts) == pytest.approx(0.81818, abs=5e-6)


def test_fleiss_gives_the_printed_figure():
    """Fleiss 1971 as Wikipedia prints it: 14 raters, 10 subjects, kappa 0.210."""
    table = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    assert agreement.fleiss(np.array(table)) == pytest.approx(0.210, abs=5e-4)


def test_readers_who_all_say_the_same_have_no_kappa_but_agree():
    found = agreement.between_readers(np.ones((3, 8), int), 3)
    assert found["observed"]["value"] == 1
    assert found["gwet_ac1"]["value"] == 1
    assert found["krippendorff_alpha"]["value"] is None


def test_wilson_gives_the_papers_interval():
    """41 of 90 (Krishna et al.): 36 to 56 %."""
    figure = intervals.wilson(41, 90)
    assert (figure.low, figure.high) == pytest.approx((0.357, 0.558), abs=1e-3)


def test_the_papers_counts_are_judged():
    said = planning.judge_printed("41/90", "3,2,3,20")
    assert said["answers_for_5_points"] == pytest.approx(381, abs=4)
    assert said["both_possible"] == [0, 2]
    assert said["possible"] is False
    assert "IMPOSSIBLE" in said["words"][1]
    assert planning.judge_printed(None, "17,18,16,20")["possible"] is True
    with pytest.raises(ValueError, match="expected RIGHT/ALL"):
        planning.judge_printed("41 of 90", None)


def test_a_reader_who_always_says_synthetic_sees_nothing():
    synthetic = np.arange(40) < 20
    found = detection.of_reader(20, 20, 20, 20)
    assert found["d_prime"]["value"] == pytest.approx(0)
    assert found["criterion"]["high"] < 0
    pooled = detection.pooled(np.ones((2, 40)), synthetic)
    assert pooled["d_prime"]["these_readers"]["value"] == pytest.approx(0)
    right = np.tile(synthetic.astype(float), (2, 1))
    assert (
        accuracy.accuracy(right, synthetic.astype(int), margin=0.1)["these_readers"]["value"] == 0.5
    )


def test_d_prime_is_that_of_the_textbook():
    """Hit rate .8413, false alarm rate .1587: z of one each, d' 2, no bias."""
    found = detection.of_reader(8413, 10000, 1587, 10000)
    assert found["d_prime"]["value"] == pytest.approx(2, abs=2e-3)
    assert found["criterion"]["value"] == pytest.approx(0, abs=2e-3)


def test_readers_who_copy_each_other_are_one_reader():
    """Ten times the same answers are no more than one: the interval stays as wide."""
    rng = np.random.default_rng(3)
    alone = rng.integers(0, 2, (1, 80)).astype(float)
    strata = np.arange(80) % 2
    one = accuracy.of_these_readers(crossed.shares(alone, strata), 80)
    ten = accuracy.of_these_readers(crossed.shares(alone.repeat(10, axis=0), strata), 80)
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high))
    naive = intervals.wilson(10 * alone.sum(), 800)
    assert ten.high - ten.low > 3 * (naive.high - naive.low)


def test_everything_right_still_has_an_interval():
    figure = accuracy.of_these_readers(crossed.shares(np.ones((3, 20)), np.arange(20) % 2), 20)
    assert figure.high == 1
    assert 0.8 < figure.low < 0.9  # Wilson, 20 of 20: .84


def test_missing_answers_are_left_out():
    right = np.array([[1, 0, 1, np.nan], [1, 1, 0, 0]], float)
    found = accuracy.accuracy(right, np.zeros(4, int), margin=0.1)
    assert (found["right"], found["answers"]) == (4, 7)


def test_equivalence_is_shown_by_many_answers_and_not_by_few():
    rng = np.random.default_rng(0)
    for images, expected in ((40, False), (1000, True)):
        right = (rng.random((3, images)) < 0.5).astype(float)
        found = accuracy.accuracy(right, np.arange(images) % 2, margin=0.1)
        assert found["equivalence"]["these_readers"]["equivalent"] is expected


def test_a_plan_says_how_many_images_are_needed():
    plan = planning.plan(readers=1, items=381, correlation=0.3)
    assert plan["half_width_these_readers"] == pytest.approx(0.05, abs=1e-3)
    assert plan["design_effect"] == 1
    assert plan["items_for_half_width"] == pytest.approx(381, abs=4)
    many = planning.plan(readers=10, items=40, correlation=0.3)
    assert many["effective_answers"] == pytest.approx(400 / 3.7)
    with pytest.raises(ValueError, match="--margin must be between"):
        planning.plan(readers=3, items=40, margin=0)


STUDIES = 2000


def coverage(draw, estimate, truth, *, seed):
    """How often the interval of `estimate` holds `truth` in so many studies."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(STUDIES):
        figure = estimate(draw(rng))
        held += figure.low <= truth <= figure.high
    return held / STUDIES


SKILL = np.array([0.55, 0.7, 0.8])
IMAGES = 60
STRATA = np.arange(IMAGES) % 2


def known_skill(rng):
    return (rng.random((3, IMAGES)) < SKILL[:, None]).astype(float)


def shared_difficulty(rng):
    """Images that are hard for one reader are hard for all; mean skill by the probit's integral."""
    lean = norm.ppf(SKILL)[:, None] * np.sqrt(1.49) + rng.normal(0, 0.7, IMAGES)
    return (rng.random((3, IMAGES)) < norm.cdf(lean)).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [known_skill, shared_difficulty])
def test_the_pooled_interval_covers_the_truth_as_often_as_it_says(draw):
    def pooled(right):
        return accuracy.of_these_readers(crossed.shares(right, STRATA), IMAGES)

    assert coverage(draw, pooled, SKILL.mean(), seed=1) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_each_readers_interval_covers_their_skill():
    """On average: right answers are whole numbers, so that one skill's coverage lies up to .02 off."""

    def covered(reader):
        def own(right):
            return intervals.wilson(right[reader].sum(), IMAGES)

        return coverage(known_skill, own, SKILL[reader], seed=2)

    assert np.mean([covered(reader) for reader in range(3)]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_the_interval_of_d_prime_covers_it():
    def pooled(right):
        return detection.d_prime(np.where(STRATA == 1, right, 1 - right), STRATA == 1)

    truth = 2 * norm.ppf(SKILL).mean()
    assert coverage(known_skill, pooled, truth, seed=3) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("readers", [3, 8])
def test_the_interval_of_any_readers_covers_the_mean_of_all(readers):
    """Readers are drawn too, as images are."""
    truth = norm.cdf(0.4 / np.sqrt(1 + 0.25 + 0.09))

    def draw(rng):
        lean = rng.normal(0.4, 0.3, (readers, 1)) + rng.normal(0, 0.5, IMAGES)
        return (rng.random((readers, IMAGES)) < norm.cdf(lean)).astype(float)

    def anyone(right):
        return accuracy.of_any_readers(crossed.shares(right, STRATA), IMAGES)

    assert coverage(draw, anyone, truth, seed=4) == pytest.approx(0.95, abs=0.015)
