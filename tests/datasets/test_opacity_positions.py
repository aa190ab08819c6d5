"""Positions that are measured: a bright spot in a field of the lungs is named, on the patient's side."""

import numpy as np
import pytest

from medsynth.datasets import opacity
from medsynth.datasets.opacity import FIELDS, with_positions

SIDE = 96


def films(count, *, seed=0):
    """Bright films with two darker lungs that differ a little from each other."""
    rng = np.random.default_rng(seed)
    down, across = (axis / SIDE for axis in np.indices((SIDE, SIDE)))
    x, y, a, b = opacity.CAN_BE
    lungs = opacity.oval(np.minimum(across, 1 - across), down, (x, y, a, b))
    waves = np.sin(6 * np.pi * down)[None] * rng.normal(0, 4, (count, 1, 1))
    return 160 - 80 * lungs + waves + rng.normal(0, 3, (count, SIDE, SIDE))


def with_spot(film, row, column):
    """A soft spot at shares of height and width."""
    down, across = (axis / SIDE for axis in np.indices((SIDE, SIDE)))
    return film + 50 * np.exp(-((down - row) ** 2 + (across - column) ** 2) / 0.005)


@pytest.mark.parametrize(
    ("row", "column", "field"),
    [
        (0.25, 0.3, "upper right"),
        (0.25, 0.7, "upper left"),
        (0.5, 0.3, "middle right"),
        (0.5, 0.7, "middle left"),
        (0.72, 0.3, "lower right"),
        (0.72, 0.7, "lower left"),
    ],
)
def test_a_spot_is_named_by_its_field_on_the_patients_side(row, column, field):
    fields = opacity.fit(films(30))
    for film in films(4, seed=1):
        scores = fields.scores(with_spot(film, row, column)[None])[0]
        assert FIELDS[int(scores.argmax())] == field
        assert scores.max() > opacity.CLEAR


def high(count, *, seed=0):
    """Radiographs whose lungs end at three fifths of the image."""
    images = films(count, seed=seed)
    squeezed = images[:, np.minimum((np.arange(SIDE) / 0.77).astype(int), SIDE - 1)]
    return np.where(np.arange(SIDE)[:, None] < 0.6 * SIDE, squeezed, 160.0)


@pytest.mark.parametrize("side", ["right", "left"])
def test_thirds_of_the_lungs_follow_lungs_that_end_high(side):
    normal, (radiograph,) = films(30), high(1, seed=1)
    spot = with_spot(radiograph, 0.54, 0.3 if side == "right" else 0.7)
    of_image, of_lungs = (
        FIELDS[int(opacity.fit(normal, of_lungs=of).scores(spot[None])[0].argmax())]
        for of in (False, True)
    )
    assert of_lungs == f"lower {side}"
    assert of_image != of_lungs
    assert opacity.lung_rows(radiograph)[1] == pytest.approx(0.6, abs=0.03)


def test_lungs_that_are_not_found_are_where_they_can_be():
    assert opacity.lung_rows(np.zeros((SIDE, SIDE))) == opacity.LUNG_ROWS


def test_scores_do_not_depend_on_brightness_and_contrast():
    fields, made = opacity.fit(films(30)), films(3, seed=2)
    assert np.allclose(fields.scores(made), fields.scores(0.5 * made + 30), atol=1e-3)


def test_words_are_added_to_findings_without_a_position_only():
    images = films(26, seed=3)
    images[21:] = [with_spot(image, 0.72, 0.7) for image in images[21:]]
    words = [("chest x-ray", "no finding")] * 22 + [("chest x-ray", "pneumonia")] * 3
    words += [("chest x-ray", "pneumonia", "upper left")]
    found = with_positions(images, words)
    assert (
        list(found[:22]) == words[:22]
    )  # the last of them is bright there, and nobody found anything
    assert found[22:25] == (("chest x-ray", "pneumonia", "lower left"),) * 3
    assert found[25] == words[25]  # a box says more than a measurement


def test_too_few_normal_films_are_refused():
    with pytest.raises(ValueError, match="got 4 of them, expected at least 20"):
        with_positions(films(4), [("no finding",)] * 4)
