"""Places keep the distances asked for; what cannot be is drawn again."""

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth import domains
from medsynth.domains import OrganFinder
from medsynth.errors import GeometryError
from medsynth.factory.places import Scene, Wanted, choose
from medsynth.factory.plan import LesionPlace
from medsynth.images import ReferenceImage
from medsynth.pipeline.preprocessing import PreprocessedReference, Preprocessing

SPACING = (2.0, 2.0, 2.0)
RADIUS = 40.0


def ball(values, spacing_mm, threshold):
    return values > 0


def pole(values, spacing_mm, threshold):
    return values == 2


def scene(place, findings=None, direction=None):
    """A ball of 40 mm around the origin, with a pole of 6 mm through it along z."""
    k, j, i = (np.indices((50, 50, 50)) - 24.5) * SPACING[0]
    values = ((k**2 + j**2 + i**2) < RADIUS**2).astype(np.float32)
    values[(values > 0) & (j**2 + i**2 < 3**2)] = 2
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING)
    image.SetOrigin((-49.0, -49.0, -49.0))
    preset = domains.base.Preset(
        **{
            **vars(domains.get("lung_ct")),
            "places": {"ball": OrganFinder("ball", ball)},
            "structures": {"pole": OrganFinder("pole", pole)},
        }
    )
    return Scene(
        PreprocessedReference(ReferenceImage(image), image, Preprocessing()),
        preset,
        place,
        findings,
    )


def drawn(place, wanted, times=60, **more):
    there = scene(place, **more)
    return [choose(there, wanted, np.random.default_rng(seed)) for seed in range(times)]


def test_lesions_lie_within_the_region_and_everywhere_in_it():
    centers = np.array(drawn(LesionPlace("ball"), [Wanted(16.0)], times=300))[:, 0]
    away = np.linalg.norm(centers, axis=1)
    assert away.max() < RADIUS - 8
    # Evenly: the mean of a ball's points is its middle, their mean distance three quarters of it.
    assert np.abs(centers.mean(axis=0)).max() < 3
    assert away.mean() == pytest.approx(0.75 * (RADIUS - 1.15 * 8), rel=0.06)


def test_pleural_lesions_reach_the_border():
    away = np.linalg.norm([c for (c,) in drawn(LesionPlace("ball"), [Wanted(16.0, True)])], axis=1)
    assert ((away + 8 >= RADIUS - 3) & (away < RADIUS)).all()


def test_lesions_keep_away_from_each_other_and_from_structures():
    place = LesionPlace("ball", away_from={"pole": 4.0}, min_distance_mm=10.0)
    for first, second in drawn(place, [Wanted(12.0), Wanted(20.0)]):
        assert np.linalg.norm(np.subtract(first, second)) >= 10 + 6 + 10 - 1e-6
        for center, radius in ((first, 6), (second, 10)):
            assert np.hypot(*center[:2]) >= 3 + 4 + radius - SPACING[0]


def test_lesions_keep_away_from_findings():
    findings = np.zeros((50, 50, 50), dtype=bool)
    findings[:, :, :25] = True  # everything on one side
    for ((x, _, _),) in drawn(LesionPlace("ball"), [Wanted(10.0)], findings=findings):
        assert x >= 5 + 2


def test_no_place_is_an_error_that_can_be_drawn_again():
    with pytest.raises(GeometryError, match="no place for a lesion of 90.0 mm in the ball"):
        choose(scene(LesionPlace("ball")), [Wanted(90.0)], np.random.default_rng(0))
