"""The report of a reading study: its figures, what is refused, machines beside people, and where lesions are."""

import csv
import json
import re

import numpy as np
import pytest
from command_line import run
from made_studies import answer_all, make_pictures, make_study
from PIL import Image

from medsynth.studies.reading.candidates import ImageSource, find_candidates
from medsynth.studies.reading.create import KnownLesion, StudyOptions, create_study
from medsynth.studies.reading.design import load_design
from medsynth.studies.reading.session import StudySession


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["real_fake_unsure", "real_fake", "confidence", "pair", "finding"])
def test_a_report_of_every_kind_and_the_same_from_its_csv(tmp_path, kind):
    study = tmp_path / "study"
    make_study(study, items=12, kind=kind, warmup=2, repeats=2, naive=4, readers=("A", "B", "C"))
    answer_all(study, 1.0)
    assert run("study", "close", study) == 0
    assert run("study", "report", study, "-o", tmp_path / "figures") == 0
    record = json.loads((tmp_path / "figures" / "report.json").read_text())
    phase = record["phases"]["informed"]
    assert phase["answers"] == 36
    assert phase["second_showings"] == 6
    if kind != "finding":
        assert phase["accuracy"]["these_readers"]["value"] == 1
        assert phase["accuracy"]["these_readers"]["low"] > 0.7
    page = (tmp_path / "figures" / "report.html").read_text()
    assert "{{" not in page
    assert ("Fooled none" in page) == (kind != "finding")
    assert (
        run("study", "report", tmp_path / "figures" / "answers.csv", "-o", tmp_path / "again") == 0
    )
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert again["phases"] == record["phases"]
    assert again["naive"] == record["naive"]


@pytest.mark.slow
def test_the_figures_are_those_of_the_rows(tmp_path):
    """Counted by hand from the CSV."""
    study = tmp_path / "study"
    make_study(study, items=20, repeats=3)
    answer_all(study, 0.7, unsure=0.2)
    run("study", "close", study)
    run("study", "report", study, "-o", tmp_path / "figures")
    with (tmp_path / "figures" / "answers.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["repeat"] == "0"]
    sides = [r for r in rows if r["answer"] != "unsure"]
    right = sum((r["answer"] == "fake") == (r["truth"] == "synthetic") for r in sides)
    phase = json.loads((tmp_path / "figures" / "report.json").read_text())["phases"]["informed"]
    assert phase["accuracy"]["right"] == right
    assert phase["accuracy"]["answers"] == len(sides)
    assert phase["unsure"] == len(rows) - len(sides)
    half = phase["accuracy_unsure_half"]
    assert half["right"] == right + phase["unsure"] / 2
    assert [p["images"] for p in phase["with_themselves"]] == [3, 3]


@pytest.mark.slow
def test_a_look_before_the_end_is_noted(study, tmp_path):
    answer_all(study, 0.6)
    assert run("study", "report", study, "-o", tmp_path / "early", "--interim") == 0
    assert "INTERIM" in (tmp_path / "early" / "report.html").read_text()
    run("study", "close", study)
    run("study", "report", study, "-o", tmp_path / "late")
    assert "looked at 1 times before" in (tmp_path / "late" / "report.html").read_text()


def test_a_csv_that_is_no_study_is_refused(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("reader,answer\nAna,real\n")
    assert run("study", "report", tmp_path / "a.csv", "-o", tmp_path / "out") == 2
    assert "is no answers.csv of a report: it has no column" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("create", "s", "--real", "no", "--synthetic", "no", "--readers", "2"),
            "no such file or folder no",
        ),
        (("serve", "nowhere"), "nowhere holds no reading study"),
        (("report", "nowhere", "-o", "x"), "nowhere holds no reading study"),
        (("plan", "--margin", "70"), "--margin must be between 0 and 50"),
        (("plan", "--judge", "9/3"), "9 right of 3 cannot be"),
    ],
)
def test_command_lines_that_are_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert run("study", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(f"medsynth: error: .*{message}", err)


@pytest.mark.slow
def test_a_machine_is_a_line_of_comparison_and_never_in_the_pool(tmp_path, capsys):
    study = tmp_path / "study"
    make_study(study, items=12)
    answer_all(study, 0.5)
    run("study", "close", study)
    run("study", "report", study, "-o", tmp_path / "without")
    design, _ = load_design(study)
    lines = [f"{i.files[0]},{0.9 if i.synthetic else 0.2}" for i in design.items]
    (tmp_path / "net.csv").write_text("\n".join(["file,score", *lines]))
    machine = ("--machine", f"net={tmp_path / 'net.csv'}")
    assert run("study", "report", study, "-o", tmp_path / "with", *machine) == 0
    without, found = (
        json.loads((tmp_path / n / "report.json").read_text())["phases"]["informed"]
        for n in ("without", "with")
    )
    assert found["accuracy"] == without["accuracy"]
    assert found["agreement"] == without["agreement"]
    last = found["readers"][-1]
    assert (last["reader"], last["arm"], last["right"]) == ("net", "machine", 12)
    assert last["auc"]["value"] == 1
    assert "net (machine)" in (tmp_path / "with" / "report.html").read_text()
    (tmp_path / "net.csv").write_text("\n".join(["file,score", *lines[1:]]))
    assert run("study", "report", study, "-o", tmp_path / "again", *machine) == 2
    assert f"no score of items/{design.items[0].files[0]}" in capsys.readouterr().err


def test_masks_of_a_layout_are_not_shown_as_images(tmp_path):
    (tmp_path / "png16/masks").mkdir(parents=True)
    (tmp_path / "png16/layout.json").write_text("{}")
    with pytest.raises(ValueError, match="masks look like images; give the items folder"):
        find_candidates(ImageSource("ours", tmp_path, True))


@pytest.mark.slow
def test_a_lesion_counts_as_found_where_it_is(tmp_path):
    """Films of 40 x 20 pixels: in the square they fill the middle half, so that y has to be moved."""
    for name in ("real", "made"):
        (tmp_path / name).mkdir()
        for k in range(4):
            picture = np.random.default_rng(k).integers(0, 255, (20, 40)).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{name}{k}.png")
    lesions = {
        f"{name}{k}.png": KnownLesion(k % 2 == 0, (9.5, 4.5, 4.0) if k % 2 == 0 else None)
        for name in ("real", "made")
        for k in range(4)
    }
    sources = [ImageSource(n, tmp_path / n, n == "made") for n in ("real", "made")]
    options = StudyOptions(readers=("Ana",), items=8, kind="finding", side=40, lesions=lesions)
    create_study(tmp_path / "study", sources, options)
    session = StudySession(tmp_path / "study")
    (reader,) = session.design.readers
    session.sign_in(reader, {"role": "other", "experience_years": "2", "ai_knowledge": "nothing"})
    for position, showing in enumerate(reader.orders[0]):
        item = session.design.index[showing.item]
        given = {"phase": 0, "position": position, "nonce": f"{position:012}", "answer": "no"}
        if item.lesion:
            assert item.lesion_at == pytest.approx((0.25, 0.375, 0.1), abs=1e-4)
            # Of real films at the place, of synthetic ones beside it.
            mark = {"mark_x": 0.3 if not item.synthetic else 0.45, "mark_y": 0.375}
            given |= {"answer": "yes", **mark}
        session.answer(reader, given)
    assert run("study", "close", tmp_path / "study") == 0
    assert run("study", "report", tmp_path / "study", "-o", tmp_path / "figures") == 0
    phases = json.loads((tmp_path / "figures" / "report.json").read_text())["phases"]
    found = next(iter(phases.values()))["finding"]
    assert found["real, with a lesion"]["found_at_place"]["value"] == 1
    assert found["synthetic, with a lesion"]["found_at_place"]["value"] == 0
    assert found["synthetic, with a lesion"]["called_lesion"]["value"] == 1
    assert "marked where it is" in (tmp_path / "figures" / "report.html").read_text()
    again = tmp_path / "again"
    assert run("study", "report", tmp_path / "figures" / "answers.csv", "-o", again) == 0
    assert json.loads((again / "report.json").read_text())["phases"] == phases


def test_places_of_lesions_that_are_no_places_are_refused(tmp_path, capsys):
    make_pictures(tmp_path / "real", 4, seed=1)
    make_pictures(tmp_path / "made", 4, seed=2)
    table = tmp_path / "lesions.csv"
    words = ("--real", tmp_path / "real", "--synthetic", tmp_path / "made", "--lesions", table)
    for line in ("000.png,1,5,5,0", "000.png,1,5,,3", "000.png,0,5,5,3"):
        table.write_text(f"path,lesion,x,y,radius\n{line}\n")
        assert run("study", "create", tmp_path / "study", *words, "--readers", "1") == 2
        assert (
            "lesions.csv: line 2: x, y, radius: expected three numbers" in capsys.readouterr().err
        )
