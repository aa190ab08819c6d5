"""Sheets and key of a blinded reading, from the slices of an evaluation."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "reading_sheets.py"
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def pairs(tmp_path):
    """Real slices are air, synthetic ones bone."""
    path = tmp_path / "pairs.npz"
    patients = np.array(["a", "b"] * 6)
    full = np.ones((12, 32, 40), np.float32)
    np.savez(path, real=-1024 * full, synthetic=1500 * full, patients=patients)
    return path


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def answer(folder, words):
    lines = ["number,answer,why", *(f"{n + 1},{word},smooth" for n, word in enumerate(words))]
    (folder / "answers.csv").write_text("\n".join(lines) + "\n")


def test_each_slice_once_as_the_key_says(pairs, tmp_path):
    out = tmp_path / "reading"
    assert main([str(pairs), "-o", str(out), "--count", "11", "--seed", "3"]) == 0
    key = rows(out / "key.csv")
    assert len({row["slice"] for row in key}) == len(key) == 11
    assert {row["kind"] for row in key} == {"real", "synthetic"}
    assert len({row["window"] for row in key}) > 1
    sheets = sorted(out.glob("sheet-*.png"))
    assert len(sheets) == 6
    wide = np.asarray(Image.open(sheets[0]))
    left, right = wide[40:, :70], wide[40:, 70:]  # below the number
    for row, cell in zip(key, (left, right), strict=False):
        assert cell.mean() == (255 if row["kind"] == "synthetic" else 0)
    assert main([str(pairs), "-o", str(tmp_path / "other"), "--count", "11", "--seed", "4"]) == 0
    assert rows(tmp_path / "other" / "key.csv") != key


def test_the_score_counts_right_answers(pairs, tmp_path, capsys):
    out = tmp_path / "reading"
    main([str(pairs), "-o", str(out), "--count", "10"])
    kinds = [row["kind"] for row in rows(out / "key.csv")]
    answer(out, kinds)
    assert main(["--score", str(out)]) == 0
    assert '"right": 10' in capsys.readouterr().out
    answer(out, ["real"] * 10)
    assert main(["--score", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f'"right": {kinds.count("real")}' in printed
    assert f'"synthetic": "0 of {kinds.count("synthetic")}"' in printed


def test_what_cannot_be_is_refused(pairs, tmp_path, capsys):
    out = tmp_path / "reading"
    assert main([str(pairs), "-o", str(out), "--count", "13"]) == 2
    assert not out.exists()
    assert "from 1 to 12" in capsys.readouterr().err
    main([str(pairs), "-o", str(out), "--count", "4"])
    assert main(["--score", str(out)]) == 2
    assert "number 1 needs real or synthetic" in capsys.readouterr().err
    assert main([str(pairs), "-o", str(out)]) == 2
    with pytest.raises(SystemExit):
        main([str(pairs)])
