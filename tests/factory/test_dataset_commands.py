"""verify, merge and convert from the command line: codes, one line an error, what they leave."""

import json
import shutil

import pytest
from made_sets import make_set

from medsynth.cli import app as cli


def run(*words):
    return cli.main([str(word) for word in ("dataset", *words, "--progress", "none")])


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "set")


@pytest.mark.slow
def test_convert_then_verify(folder, capsys):
    assert run("convert", folder, "--to", "png8") == 0
    assert f"wrote {folder / 'layouts' / 'png8'}" in capsys.readouterr().out
    assert run("verify", folder) == 0
    assert "4 images, nothing is wrong" in capsys.readouterr().out


def test_verify_lists_what_is_wrong_and_its_code_is_1(folder, capsys):
    (folder / "items" / "000002" / "image.nrrd").unlink()
    shutil.rmtree(folder / "items" / "000003")
    assert run("verify", folder) == 1
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert [line.split(": ")[2] for line in lines] == ["000002", "000003"]
    assert "2 faults" in said.out


@pytest.mark.slow
def test_merge_makes_a_set_with_its_pages(folder, tmp_path, capsys):
    other = make_set(
        tmp_path / "other", patients=[f"other {n}" for n in range(4)], shape=(2, 24, 32)
    )
    assert run("merge", folder, other, "-o", tmp_path / "both") == 0
    assert "both: 8 images" in capsys.readouterr().out
    card = json.loads((tmp_path / "both" / "card.json").read_text())
    assert (card["images"]["finished"], card["pictures"], card["volumes"]) == (8, 4, 4)
    assert run("verify", tmp_path / "both") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "no"), "no is no folder; give the DIR"),
        (("verify", "empty"), "empty is no data set: it has no plan.yaml"),
        (("convert", "set", "--to", "voc"), "unknown layout 'voc', expected one of coco"),
        (("convert", "empty", "--to", "coco"), "empty is no data set"),
        (("merge", "set", "-o", "c"), "merge needs at least two sets"),
        (("merge", "set", "set", "-o", "c"), "the same image is there twice"),
        (("merge", "set", "empty", "-o", "c"), "empty is no data set"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(
    folder, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "set"]
