"""Figures that are kept are not measured again, unless what they depend on has changed."""

import numpy as np
import pytest

from medsynth.evaluation.kept_figures import KeptFigures, key_of


def refuse():
    raise AssertionError("measured again")


def test_what_was_measured_is_taken_over(tmp_path):
    file = tmp_path / "new" / "measured.json"
    made = KeptFigures(file).once("a", lambda: {"auc": 0.1 + 0.2, "interval": [0.0, 1.0]})
    assert KeptFigures(file).once("a", refuse) == made == {"auc": 0.1 + 0.2, "interval": [0.0, 1.0]}
    with pytest.raises(AssertionError, match="again"):
        KeptFigures(file).once("b", refuse)


def test_a_stop_keeps_what_was_measured_before(tmp_path):
    kept = KeptFigures(tmp_path / "measured.json")
    kept.once("a", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        kept.once("b", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert KeptFigures(kept.file).found == {"a": 1}


@pytest.mark.parametrize("damaged", ["{", "[1, 2]", "3"])
def test_a_damaged_file_is_begun_anew(damaged, tmp_path):
    (tmp_path / "measured.json").write_text(damaged)
    assert KeptFigures(tmp_path / "measured.json").once("a", lambda: 2) == 2


def test_a_key_is_of_values_shape_and_type():
    image = np.arange(6, dtype=np.float32).reshape(2, 3)
    others = (image + 1, image.reshape(3, 2), image.view(np.int32), image.tolist())
    keys = {key_of("figures", other) for other in (image, *others)}
    assert len(keys) == 5
    assert key_of("figures", image.copy()) == key_of("figures", image)
    assert key_of("a", image) != key_of("b", image)
