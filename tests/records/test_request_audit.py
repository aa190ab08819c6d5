"""What may leave: nothing too near to a training image, unless somebody allows it by its name."""

import hashlib
import json

import pytest

from medsynth.records import audit
from medsynth.records.audit import Audit, Match, check_export


def make(out, *, similarity):
    """OUT with an image and an audit of it."""
    (out / "dicom" / "image").mkdir(parents=True)
    (out / "image.nrrd").write_bytes(b"pixels")
    match = Match(4, "P-7/ct slice 12", "fine", similarity, 0.2)
    far = Match(3, "P-8/ct slice 1", "whole", 0.5, 0.9)
    made = Audit(
        hashlib.sha256(b"pixels").hexdigest(), {"images": 9}, (far, match), 6, {}, "2026-01-01"
    )
    made.write(out)
    return out


@pytest.fixture
def copy(tmp_path):
    return make(tmp_path / "out-7", similarity=0.31)


@pytest.fixture
def clear(tmp_path):
    return make(tmp_path / "out-8", similarity=0.2)


def test_an_audit_is_read_as_it_was_written(copy):
    read = Audit.read(copy)
    assert read.verdict == "near copy"
    assert [m.slice for m in read.copies] == [4]
    assert json.loads((copy / "audit.json").read_text())["verdict"] == "near copy"
    assert sorted(p.name for p in copy.iterdir()) == ["audit.json", "dicom", "image.nrrd"]


def test_an_audit_says_so_in_the_result_and_changes_nothing_else_there(clear):
    record = {"seed": 7, "warnings": ["\u00b5"], "clipped": {"result": None}, "audited": False}
    (clear / "result.json").write_text(json.dumps(record))
    Audit.read(clear).write(clear)
    read = json.loads((clear / "result.json").read_text())
    assert read == record | {"audited": True}
    assert not list(clear.glob(".partial*"))


@pytest.mark.parametrize("within", ["", "dicom", "dicom/image"])
def test_a_near_copy_is_refused_from_every_folder_of_it(copy, within):
    with pytest.raises(ValueError, match=r"slice 5 .*P-7/ct slice 12 .*0\.310.*0\.200") as error:
        check_export(copy / within, allow=None, to="pacs")
    assert "--allow-near-copy out-7" in str(error.value)
    assert Audit.read(copy).allowed == ()


def test_a_near_copy_leaves_by_its_name_and_this_is_recorded(copy, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "kim")
    remark, warn = check_export(copy, allow="out-7", to="pacs (10.0.0.1)")
    assert warn
    assert remark.startswith(f"{audit.ALLOWED} kim: slice 5")
    (entry,) = Audit.read(copy).allowed
    assert (entry.by, entry.to) == ("kim", "pacs (10.0.0.1)")
    assert entry.at.startswith("20")
    with pytest.raises(ValueError, match="may be a copy"):
        check_export(copy, allow=None, to="pacs (10.0.0.1)")  # each time anew


def test_what_may_go_anywhere_needs_no_other_word(copy):
    check_export(copy, allow="out-7", to=audit.ANYWHERE)
    assert check_export(copy, allow=None, to="pacs")[0].startswith(audit.ALLOWED)


@pytest.mark.parametrize("name", ["out-8", "", "OUT-7"])
def test_another_name_allows_nothing(copy, name):
    with pytest.raises(ValueError, match="the result is called out-7"):
        check_export(copy, allow=name, to="pacs")


def test_a_clear_result_leaves_without_a_word(clear, tmp_path):
    remark, warn = check_export(clear, allow=None, to="pacs")
    assert not warn
    assert "no near copy" in remark
    with pytest.raises(ValueError, match="remove the option"):
        check_export(clear, allow="out-8", to="pacs")


def test_a_result_that_nobody_audited_is_told(tmp_path):
    remark, warn = check_export(tmp_path, allow=None, to="pacs")
    assert warn
    assert "not audited" in remark
    with pytest.raises(ValueError, match="never audited"):
        check_export(tmp_path, allow=tmp_path.name, to="pacs")


def test_an_audit_of_another_image_counts_for_nothing(clear):
    (clear / "image.nrrd").write_bytes(b"other pixels")
    with pytest.raises(ValueError, match="of another image"):
        check_export(clear, allow=None, to="pacs")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"verdict": "clear"}'])
def test_a_damaged_audit_stops_the_export(clear, text):
    (clear / "audit.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        check_export(clear, allow=None, to="pacs")


def test_an_audit_with_older_names_is_read(copy):
    text = (copy / "audit.json").read_text()
    (copy / "audit.json").write_text(text.replace('"similarity"', '"nearness"'))
    assert Audit.read(copy).copies[0].similarity == 0.31
