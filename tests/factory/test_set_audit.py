"""Near copies of training images are refused, once and for all; the comparison itself is tested apart."""

import json
import shutil

import pytest
from made_plans import write_plan

from medsynth.factory import audit as audits
from medsynth.factory import engine
from medsynth.factory.parse import load_plan
from medsynth.records.audit import Audit, Match, sha256_of_image

COPIES = ("000001", "000003")


class Comparison:
    """Says of two images that they are copies, as `Auditor` does: with OUT/audit.json."""

    audited: list = []

    def __init__(self, recipe, preset, listener):
        pass

    def audit(self, out):
        self.audited.append(out.name)
        near = 0.95 if out.name in COPIES else 0.2
        match = Match(0, "P1 slice 2", "whole", near, 0.6)
        audit = Audit(sha256_of_image(out), {"images": 9}, (match,), 1, {}, "2026-01-01T00:00:00")
        audit.write(out)
        return audit


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr(audits, "Auditor", Comparison)
    monkeypatch.setattr(Comparison, "audited", [])
    return write_plan(tmp_path, audit={"against": "training", "data": "cts"})


@pytest.mark.slow
def test_near_copies_are_refused_and_stay_refused(plan, tmp_path):
    out = tmp_path / "set"
    summary = engine.make(load_plan(plan), out)
    assert (summary.made, summary.there, summary.refused) == (6, 4, list(COPIES))
    record = json.loads((out / "refused/000001.json").read_text())
    assert (record["id"], record["similarity"], record["training_image"]) == (
        "000001",
        0.95,
        "P1 slice 2",
    )
    assert "nearer to the training image P1 slice 2" in record["reason"]
    assert not (out / "items/000001").exists()
    Comparison.audited.clear()
    assert engine.make(load_plan(plan), out).made == 0
    assert Comparison.audited == []


@pytest.mark.slow
def test_an_image_that_is_made_again_is_audited_again(plan, tmp_path):
    out = tmp_path / "set"
    engine.make(load_plan(plan), out)
    shutil.rmtree(out / "items/000002")
    Comparison.audited.clear()
    assert engine.make(load_plan(plan), out).made == 1
    assert Comparison.audited == ["000002"]


@pytest.mark.slow
def test_a_run_that_was_killed_before_a_copy_was_removed_removes_it(plan, tmp_path, monkeypatch):
    out = tmp_path / "set"
    monkeypatch.setattr(audits.shutil, "rmtree", lambda path, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.make(load_plan(plan), out)
    monkeypatch.undo()
    monkeypatch.setattr(audits, "Auditor", Comparison)
    assert engine.make(load_plan(plan), out).refused == list(COPIES)
    assert not (out / "items/000001").exists()


@pytest.mark.slow
def test_near_copies_can_be_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(audits, "Auditor", Comparison)
    plan = write_plan(tmp_path, audit={"data": "cts", "near_copies": "keep"})
    summary = engine.make(load_plan(plan), tmp_path / "set")
    assert (summary.there, summary.refused) == (6, [])
    assert json.loads((tmp_path / "set/items/000001/audit.json").read_text())["verdict"] == (
        "near copy"
    )


def test_a_recipe_of_another_domain_is_refused(plan, tmp_path):
    asked = write_plan(tmp_path, "other.yaml", audit={"data": "cts", "recipe": "mammography"})
    with pytest.raises(ValueError, match="audit.recipe: mammography trains mammography, the plan"):
        engine.make(load_plan(asked), tmp_path / "other")
    assert not (tmp_path / "other").exists()
