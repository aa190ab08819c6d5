"""Blinded readings: nothing on the sheets gives the truth away, and the key scores what was answered."""

import csv

import numpy as np
import pytest
from PIL import Image

from medsynth import domains as presets
from medsynth.evaluation import held_out, reading

PRESET = presets.get("lung_ct")
COUNT = 14


def pairs():
    """Real slices of 40 HU, synthetic ones of 140: whoever sees a pixel knows."""
    real = np.full((COUNT, 64, 96), 40, np.float32)
    return held_out.Pairs(real, real + 100, (0.0,) * COUNT, ("a",) * 6 + ("b",) * 8)


@pytest.fixture
def folder(tmp_path):
    reading.write_reading(pairs(), tmp_path / "reading", preset=PRESET, seed=3)
    return tmp_path / "reading"


def key(folder):
    with (folder / reading.KEY).open() as file:
        return list(csv.DictReader(file))


def answer(folder, answers):
    lines = ["number,answer", *(f"{n},{word}" for n, word in answers.items())]
    (folder / reading.ANSWERS).write_text("\n".join(lines) + "\n")


def shown(folder, number):
    """The middle pixel of image `number` on its sheet."""
    sheet = np.asarray(Image.open(folder / f"sheet-{(number - 1) // 6 + 1:02}.png"))
    row, column = divmod((number - 1) % 6, 3)
    return sheet[row * (64 + reading.CAPTION) + reading.CAPTION + 32, column * 96 + 48]


def test_every_slice_is_shown_once_and_the_key_tells_which_it_was(folder):
    rows = key(folder)
    assert sorted(int(row["slice"]) for row in rows) == list(range(COUNT))
    assert {row["truth"] for row in rows} == {"real", "synthetic"}
    windows = {window.name: window for window in PRESET.windows}
    for row in rows:
        value = 140.0 if row["truth"] == "synthetic" else 40.0
        expected = windows[row["window"]].to_8_bit(np.full((1, 1), value))[0, 0]
        assert shown(folder, int(row["number"])) == expected
        assert row["patient"] == ("a" if int(row["slice"]) < 6 else "b")


def test_another_seed_is_another_reading_and_the_counts_are_not_fixed():
    of_seed = [reading.draw_items(COUNT, windows=3, seed=seed) for seed in range(8)]
    assert reading.draw_items(COUNT, windows=3, seed=0) == of_seed[0] != of_seed[1]
    assert len({sum(item.synthetic for item in items) for items in of_seed}) > 1


def test_the_sheets_say_nothing_but_number_and_window(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["answers.csv", "key.csv", "sheet-01.png", "sheet-02.png", "sheet-03.png"]
    assert not Image.open(folder / "sheet-01.png").text
    assert "real" not in (folder / reading.ANSWERS).read_text()


def test_right_answers_are_counted_with_their_interval(folder):
    rows = key(folder)
    answer(folder, {row["number"]: row["truth"][0] for row in rows} | {rows[0]["number"]: ""})
    found = reading.score(folder)
    assert (found["right"], found["read"], found["share"]) == (COUNT - 1, COUNT - 1, 1.0)
    assert found["interval"][0] == pytest.approx(0.772, abs=1e-3)  # Wilson, 13 of 13
    assert found["sensitivity"] == found["specificity"] == 1.0
    assert sum(part["read"] for part in found["windows"].values()) == COUNT - 1


def test_who_calls_everything_synthetic_finds_all_and_believes_none(folder):
    rows = key(folder)
    answer(folder, {row["number"]: "Synthetic" for row in rows})
    found = reading.score(folder)
    assert (found["sensitivity"], found["specificity"]) == (1.0, 0.0)
    assert found["right"] == sum(row["truth"] == "synthetic" for row in rows)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"1": "maybe"}, "image 1: the answer must be real or synthetic .* got 'maybe'"),
        ({"99": "real"}, "image 99"),
        ({"1": ""}, "no answers; fill in"),
    ],
)
def test_answers_that_cannot_be_scored_are_refused(folder, answers, message):
    answer(folder, answers)
    with pytest.raises(ValueError, match=message):
        reading.score(folder)


def test_a_reading_with_its_answers_is_not_replaced(folder):
    with pytest.raises(FileExistsError, match="holds a reading already"):
        reading.write_reading(pairs(), folder, preset=PRESET, seed=4)
