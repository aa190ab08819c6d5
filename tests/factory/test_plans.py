"""What a plan may say, what is refused, and that plan.yaml reads back the same."""

import numpy as np
import pytest
import yaml
from made_plans import plan_of

from medsynth.factory import distributions
from medsynth.factory.parse import parse
from medsynth.factory.plan_file import difference, text_of, to_dict


def changed(key, value):
    """The small plan with one value at a path of keys and numbers."""
    raw = yaml.safe_load(yaml.safe_dump(plan_of()))
    place = raw
    *path, last = key
    for step in path:
        place = place[step]
    place[last] = value
    return raw


def test_a_plan_reads_back_from_what_is_written_of_it(tmp_path):
    plan = parse(plan_of(audit=None, write=["png16", "coco"]), tmp_path)
    again = parse(yaml.safe_load(text_of(plan)), tmp_path / "elsewhere")
    assert to_dict(again) == to_dict(plan)
    assert to_dict(plan)["anatomies"][0]["images"] == [str(tmp_path / "cts/*/")]


def test_only_the_count_the_layouts_and_the_audit_may_change(tmp_path):
    plan = to_dict(parse(plan_of(), tmp_path))
    assert difference(to_dict(parse(plan_of(count=9, write=["coco"]), tmp_path)), plan) is None
    assert difference(to_dict(parse(plan_of(seed=2), tmp_path)), plan) == "seed"
    assert difference(to_dict(parse(plan_of(steps=3), tmp_path)), plan) == "steps"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("preset",), "lung", "preset: unknown preset 'lung', .*did you mean 'lung_ct'"),
        (("count",), 0, "count: expected an integer from 1 to 999999, got 0"),
        (("cuont",), 5, "cuont: unknown key, did you mean 'count'"),
        (("anatomies",), [], "anatomies: expected a list that is not empty"),
        (("anatomies", 0, "weight"), 0, r"anatomies\[0\].weight: expected a finite number > 0"),
        (("anatomies", 0, "factor"), [8, 4], r"anatomies\[0\].factor.uniform: .*smaller number"),
        (("anatomies", 0, "phantom"), {}, r"anatomies\[0\]: images and phantom exclude each other"),
        (("anatomies", 0, "persons"), 3, r"anatomies\[0\].persons: acts on phantoms"),
        (("anatomies", 0), {"phantom": {"seed": 3}}, r"phantom.seed: would draw one person again"),
        (
            ("anatomies", 0),
            {"phantom": {"hart": 1}},
            r"phantom.hart: unknown key, did you mean 'he",
        ),
        (("pathologies", "share"), 2, "pathologies.share: expected a finite number"),
        (("pathologies", "count"), {0: 1}, "pathologies.count: expected numbers of lesions from 1"),
        (
            ("pathologies", "diameter_mm"),
            {"log": [1, 2]},
            "diameter_mm.log: unknown key; known keys",
        ),
        (("pathologies", "diameter_mm"), {"lognormal": [9]}, "lognormal: expected two numbers"),
        (
            ("pathologies", "diameter_mm"),
            1,
            "diameter_mm: expected a finite number >= 2 and <= 150",
        ),
        (("pathologies", "sources", 0), {"procedural": {"kind": "mass"}}, "kind: expected one of"),
        (
            ("pathologies", "sources", 0),
            {"procedural": {"kind": "solid", "hue": 3}},
            "procedural.hue: unknown key, did you mean 'hu'",
        ),
        (("pathologies", "place", "where"), "liver", "place.where: expected one of lung, "),
        (("pathologies", "place", "away_from"), "bones", "away_from: expected one of vessels"),
        (("slices",), "some", "slices: expected lesion, all, or a number of slices"),
        (("split",), {"train": 0.7}, "split: the shares must add up to 1, got 0.7"),
        (("split",), {"train": 1, "by": "image"}, "split.by: expected anatomy"),
        (("write",), ["jpeg"], "write: expected one of coco"),
        (("audit",), {"against": "training"}, "audit.data: missing"),
        (("threads",), 0, "threads: expected an integer from 1"),
        (("format",), "medsynth dataset 9", "format: expected medsynth dataset 1"),
    ],
)
def test_plans_that_are_refused(tmp_path, key, value, message):
    with pytest.raises(ValueError, match=message):
        parse(changed(key, value), tmp_path)


def test_films_have_no_slices(tmp_path):
    raw = {"preset": "mammography", "count": 1, "anatomies": [{"phantom": {}}], "slices": 3}
    with pytest.raises(ValueError, match="slices: an image of mammography is one projection image"):
        parse(raw, tmp_path)


def test_numbers_are_drawn_as_asked():
    generator = np.random.default_rng(0)
    sizes = distributions.parse(
        {"lognormal": [12, 1.5], "clip": [4, 40]}, "diameter_mm", low=2, high=150
    )
    drawn = np.array([sizes.draw(generator) for _ in range(4000)])
    assert np.exp(np.median(np.log(drawn))) == pytest.approx(12, rel=0.03)
    assert np.exp(np.log(drawn).std()) == pytest.approx(1.5, rel=0.03)
    assert 4 <= drawn.min() < drawn.max() <= 40
    # What lies outside is drawn again: nothing piles up at the ends.
    assert np.isin(drawn, (4.0, 40.0)).sum() == 0
    factors = distributions.parse([6, 12], "factor", low=1, high=512, whole=True)
    assert {factors.draw(generator) for _ in range(300)} == set(range(6, 13))
    assert distributions.parse({"choice": [3, 9]}, "n", low=1, high=9).draw(generator) in (3, 9)
