"""`medsynth bench marks`: what is counted, and the command on a folder."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

from medsynth import domains
from medsynth.cli.app import main
from medsynth.evaluation.mark_survival import Survival, measure, table_of


def noisy_slice(seed, size=(224, 224)):
    rng = np.random.default_rng(seed)
    return np.rint(40 + 25 * ndimage.gaussian_filter(rng.normal(size=size), 0.7))


@pytest.mark.slow
def test_every_change_is_measured_with_and_without_the_mark():
    rows = {row.change: row for row in measure([noisy_slice(0)], domains.get("lung_ct"), total=1)}
    assert {"JPEG 75, soft tissue", "cropped to a quarter", "scaled by 0.7"} <= rows.keys()
    for name in ("stored as whole numbers", "flipped", "turned by 5 degrees", "8 bits, lung"):
        assert rows[name].found == 1, name
    assert all(row.false_alarms == 0 and row.nearest > 1e-6 for row in rows.values())


def test_the_interval_is_wilsons():
    low, high = Survival("any", 10, 7, 0, 1.0, 1.0).interval
    assert (low, high) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    assert Survival("any", 4, 0, 0, 1.0, 1.0).interval[0] == 0
    assert "| - | 1 | - |" in table_of([Survival("any", 4, 0, None, 1.0, None)])
    assert "| any | 70.0% |" in table_of([Survival("any", 10, 7, 0, 0.5, 0.01)])


@pytest.mark.slow
def test_the_command_measures_a_folder(tmp_path, capsys):
    image = sitk.GetImageFromArray(noisy_slice(1)[None].astype(np.int16))
    sitk.WriteImage(image, str(tmp_path / "image.nrrd"))
    sitk.WriteImage(image, str(tmp_path / "pathology_01.nrrd"))
    Image.fromarray(np.zeros((64, 128), np.uint8)).save(tmp_path / "audit.png")
    words = ["bench", "marks", "--preset", "lung_ct", "--progress", "none"]
    assert main([*words, "--data", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["images"] for row in rows} == {1}
    # Without a mark, said to carry one: nothing is found, and no false alarm is counted.
    assert main([*words, "--data", str(tmp_path), "--carry-mark", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["found"], row["false_alarms"]) for row in rows} == {(0, None)}
    assert main(words) == 2
    assert main(["bench", "--data", str(tmp_path), "--progress", "none"]) == 2
    assert main(["bench", "--carry-mark", "--progress", "none"]) == 2
