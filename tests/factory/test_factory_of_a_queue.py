"""The queue of a scene's images becomes a plan that a data set can be made of."""

import numpy as np
import pytest

from medsynth.factory.parse import parse
from medsynth.scene.batch import SETTINGS, Queued, plan_of_queue, settings_of
from medsynth.scene.settings import Settings


def entry(count=4, lesions=(("solid", 14.0, 4),), preset="lung_ct", settings=None, **anatomy):
    keys = {"images": "image_01.nrrd", "factor": 8, **anatomy}
    said = settings_of(Settings(steps=4)) | (settings or {})
    return Queued("Image", preset, keys, tuple(lesions), count, said)


def test_images_lesions_and_seeds_are_those_of_the_queue():
    queue = [
        entry(6, [("solid", 14.0, 4), ("spiculated", 20.0, 6)], labels=[]),
        entry(2, [], images="image_02", factor=12),
    ]
    made = parse(plan_of_queue(queue, seed=9))
    assert (made.count, made.seed, made.request["steps"]) == (8, 9, 4)
    assert [(a.images, a.weight) for a in made.anatomies] == [
        (("image_01.nrrd",), 6),
        (("image_02",), 2),
    ]
    assert made.anatomies[0].labels == ()
    assert made.pathologies.share == 0.75
    assert made.pathologies.count == {2: 6.0}
    assert [s.kinds for s in made.pathologies.sources] == [("solid",), ("spiculated",)]
    assert [s.factor.draw(np.random.default_rng(0)) for s in made.pathologies.sources] == [4, 6]
    assert made.slices == "all"


def test_a_set_is_made_with_the_settings_of_its_images():
    other = {"sampler": "heun", "filter": "block", "background": "keep", "steps": 3}
    made = parse(plan_of_queue([entry(settings=other)], seed=0))
    assert {key: made.request[key] for key in other} == other
    assert set(SETTINGS) <= set(made.request)
    with pytest.raises(ValueError, match=r"one value of sampler, the queue has \w+ and heun"):
        plan_of_queue([entry(), entry(settings={"sampler": "heun"})], seed=0)


def test_images_without_lesions_are_a_set_too():
    assert parse(plan_of_queue([entry(3, [])], seed=0)).pathologies is None


def test_one_set_is_of_one_domain():
    with pytest.raises(ValueError, match=r"one domain, the queue has .* and .*Make two"):
        plan_of_queue([entry(), entry(preset="brain_ct")], seed=0)


def test_an_empty_queue_is_said():
    with pytest.raises(ValueError, match="queue is empty"):
        plan_of_queue([], seed=0)
