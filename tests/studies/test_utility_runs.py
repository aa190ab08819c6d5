"""Whole utility studies: planted generators, the report, kills, going on, a Ray cluster."""

import csv
import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from command_line import run
from made_utility import write_study
from sklearn.metrics import roc_auc_score

from medsynth.events import ignore
from medsynth.studies.utility.run import run_study
from medsynth.studies.utility.study import load_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("timm") is None, reason="needs timm"),
]


def cells(out):
    return sorted((out / "cells").glob("*.json"))


def test_a_report_has_every_row_and_its_figures_come_from_the_scores(tmp_path):
    file = write_study(
        tmp_path, planted=("noise", "perfect"), modes=["add", "replace", "only"], sizes=[6]
    )
    out = tmp_path / "out"
    assert run("utility", file, "-o", out, "--progress", "none") == 0
    record = json.loads((out / "report.json").read_text())
    names = [row["name"] for row in record["rows"]]
    for name in ("real only", "noise, +6", "duplicated real, +6", "augmented real, in place of 6"):
        assert name in names
    assert "fewer real only, alone, 6" in names
    with (out / "scores.csv").open() as scores:
        rows = [r for r in csv.DictReader(scores) if r["part"] == "test"]
    for row in record["rows"]:
        own = [r for r in rows if r["arm"] == row["name"]]
        by_seed = []
        for seed in ("0", "1"):
            of_seed = [r for r in own if r["seed"] == seed]
            assert len(of_seed) == 24
            by_seed.append(
                roc_auc_score(
                    [int(r["positive"]) for r in of_seed], [float(r["score"]) for r in of_seed]
                )
            )
        assert row["auc"]["value"] == pytest.approx(sum(by_seed) / 2, abs=1e-5)
        assert row["auc_by_seed"] == pytest.approx(by_seed, abs=1e-3)
        assert row["auc"]["low"] <= row["auc"]["value"] <= row["auc"]["high"]
    page = (out / "report.html").read_text()
    assert "{{" not in page
    assert "duplicated real" in page
    assert "<svg" in page
    table = list(csv.DictReader((out / "table.csv").open()))
    assert [row["name"] for row in table] == names
    trained = {path: path.stat().st_mtime_ns for path in cells(out)}
    page_before = json.loads((out / "report.json").read_text())
    assert run("utility", file, "-o", out, "--progress", "none") == 0
    assert {path: path.stat().st_mtime_ns for path in cells(out)} == trained
    again = json.loads((out / "report.json").read_text())
    assert again == page_before


def test_planted_generators_a_useless_one_gains_nothing_and_a_perfect_one_does(tmp_path):
    """The useless one draws noise; the perfect one draws more patients of the same kind."""
    file = write_study(
        tmp_path,
        **{"train": 10, "test": 100, "made": 120, "planted": ("noise", "perfect")},
        **{"sizes": [200], "seeds": 3, "steps": 150, "learning_rate": 0.003},
        controls={"augmented": False},
    )
    record = run_study(load_study(file), tmp_path / "out")
    found = {c["title"]: c for c in record["comparisons"]}
    assert found["noise"]["verdict"] in ("no gain shown", "worse than real only")
    assert found["perfect"]["verdict"] == "gain over real only and over every control"
    assert found["perfect"]["against"][0]["value"] > 0.08


def test_a_killed_sweep_goes_on_and_ends_the_same(tmp_path):
    file = write_study(tmp_path, seeds=3, steps=6)
    whole = run_study(load_study(file), tmp_path / "whole")
    out = tmp_path / "killed"
    words = [
        sys.executable,
        "-m",
        "medsynth",
        "utility",
        str(file),
        "-o",
        str(out),
        "--threads",
        "1",
    ]
    kept = 0
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            [*words, "--progress", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if '"stage": "training"' in line and len(cells(out)) > kept:
                break
        process.send_signal(kill)
        _, err = process.communicate(timeout=600)  # an end that never comes, not a slow one
        assert process.returncode in ((-signal.SIGKILL,) if kill == signal.SIGKILL else (130,)), err
        assert not (out / "report.json").exists()
        assert len(cells(out)) > kept
        kept = len(cells(out))
        if kill == signal.SIGTERM:
            assert "the same command goes on" in err
    before = {path: path.read_bytes() for path in cells(out)}
    found = run_study(load_study(file), out, thread_count=1, listener=ignore)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert found["rows"][0]["auc"] == pytest.approx(whole["rows"][0]["auc"], abs=0.02)
    assert [row["name"] for row in found["rows"]] == [row["name"] for row in whole["rows"]]


def test_a_damaged_outcome_is_trained_again_and_another_size_only_adds(tmp_path):
    file = write_study(tmp_path, planted=("perfect",), sizes=[4])
    out = tmp_path / "out"
    run_study(load_study(file), out)
    first, *others = cells(out)
    first.write_text('{"seed"')
    times = {path: path.stat().st_mtime_ns for path in others}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"sizes": [4, 8]}))
    record = run_study(load_study(file), out)
    assert json.loads(first.read_text())["test"]
    assert {path: path.stat().st_mtime_ns for path in others} == times
    assert {row["size"] for row in record["rows"]} == {0, 4, 8}


def test_two_runs_on_one_folder_are_refused(tmp_path, capsys):
    from medsynth.storage.lock import held

    file = write_study(tmp_path)
    (tmp_path / "out").mkdir()
    with held(tmp_path / "out" / ".medsynth-lock"):
        assert run("utility", file, "-o", tmp_path / "out", "--progress", "none") == 2
    assert "another run is working on" in capsys.readouterr().err


def test_trained_on_ray_the_figures_are_the_same(tmp_path):
    pytest.importorskip("ray")
    file = write_study(tmp_path, planted=("perfect",), sizes=[4])
    here = run_study(load_study(file), tmp_path / "here", thread_count=1)
    os.environ.pop("RAY_ADDRESS", None)
    assert run("utility", file, "-o", tmp_path / "ray", "--ray", "auto", "--threads", "1") == 0
    there = json.loads((tmp_path / "ray" / "report.json").read_text())
    for a, b in zip(here["rows"], there["rows"], strict=True):
        assert a["auc_by_seed"] == pytest.approx(b["auc_by_seed"], abs=0.02)


def test_a_ray_that_is_not_there_is_said(tmp_path, capsys):
    pytest.importorskip("ray")
    file = write_study(tmp_path)
    words = ("--ray", "127.0.0.1:9", "--progress", "none")
    assert run("utility", file, "-o", tmp_path / "out", *words) == 2
    assert "no Ray at 127.0.0.1:9" in capsys.readouterr().err
