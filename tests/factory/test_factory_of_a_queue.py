"""The queue of a scene's images becomes a plan that a data set can be made of."""

import pytest

from medsynth.factory.parse import parse
from medsynth.scene.batch import Queued, plan


def entry(count=4, lesions=(("solid", 14.0),), preset="lung_ct", **anatomy):
    keys = {"images": "image_01.nrrd", "factor": 8, **anatomy}
    return Queued("Image", preset, keys, tuple(lesions), count)


def test_images_lesions_and_seeds_are_those_of_the_queue():
    queue = [
        entry(6, [("solid", 14.0), ("spiculated", 20.0)], labels=[]),
        entry(2, [], images="image_02", factor=12),
    ]
    made = parse(plan(queue, steps=4, seed=9))
    assert (made.count, made.seed, made.request["steps"]) == (8, 9, 4)
    assert [(a.images, a.weight) for a in made.anatomies] == [
        (("image_01.nrrd",), 6),
        (("image_02",), 2),
    ]
    assert made.anatomies[0].labels == ()
    assert made.pathologies.share == 0.75
    assert made.pathologies.count == {2: 6.0}
    assert [s.kinds for s in made.pathologies.sources] == [("solid",), ("spiculated",)]


def test_images_without_lesions_are_a_set_too():
    assert parse(plan([entry(3, [])], steps=20, seed=0)).pathologies is None


def test_one_set_is_of_one_domain():
    with pytest.raises(ValueError, match=r"one domain, the queue has .* and .*Make two"):
        plan([entry(), entry(preset="brain_ct")], steps=1, seed=0)


def test_an_empty_queue_is_said():
    with pytest.raises(ValueError, match="queue is empty"):
        plan([], steps=1, seed=0)
