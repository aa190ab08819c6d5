"""A set made in this process: complete items, the same bytes in any order, and going on."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from command_line import run
from made_plans import contents, write_plan, write_references

from medsynth.factory import arrange, engine, outcomes
from medsynth.factory.item import Maker
from medsynth.factory.parse import load_plan
from medsynth.factory.rows import read_rows
from medsynth.images import read_labels
from medsynth.request import load_request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_plan(folder)
    return folder


@pytest.fixture(scope="module")
def made(folder):
    out = folder / "set"
    assert run("dataset", folder / "plan.yaml", "-o", out, "--progress", "none") == 0
    return out


@pytest.mark.slow
def test_every_image_is_there_with_its_masks_and_its_request(made):
    rows = read_rows(made)
    assert [row.id for row in rows] == [f"{n:06d}" for n in range(6)]
    assert any(row.lesions for row in rows)
    for row in rows:
        item = made / "items" / row.id
        image = sitk.ReadImage(str(item / "image.nrrd"))
        assert image.GetSize() == (48, 48, 1)
        request = load_request(item / "request.yaml")
        assert request.seed == row.seed
        assert request.anatomy.slice == row.anatomy["slice"] + 1
        record = json.loads((item / "result.json").read_text())
        assert (record["seed"], record["threads"]) == (row.seed, 1)
        masks = sorted(path.name for path in item.glob("pathology_*.nrrd"))
        assert len(masks) == len(row.lesions) == len(record["lesions"])
        for name, lesion in zip(masks, row.lesions, strict=True):
            mask = sitk.ReadImage(str(item / name))
            where = np.argwhere(sitk.GetArrayFromImage(mask))[:, ::-1].mean(axis=0)
            at = mask.TransformContinuousIndexToPhysicalPoint(where.tolist())
            assert at == pytest.approx(lesion["center_mm"], abs=5)
            assert sitk.GetArrayFromImage(image)[sitk.GetArrayFromImage(mask) > 0].size


@pytest.mark.slow
def test_an_image_is_what_synthesize_makes_of_its_request(made, tmp_path):
    row = next(row for row in read_rows(made) if row.lesions)
    item = made / "items" / row.id
    assert run("synthesize", item / "request.yaml", "-o", tmp_path / "one", "--threads", 1) == 0
    for name in ("image.nrrd", "pathology_01.nrrd", "request.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (item / name).read_bytes()


@pytest.mark.slow
def test_one_image_alone_is_the_same(folder, made, tmp_path):
    plan, out = folder / "plan.yaml", tmp_path / "set"
    assert run("dataset", plan, "-o", out, "--only", 4, "--progress", "none") == 0
    assert [path.name for path in (out / "items").iterdir()] == ["000004"]
    assert contents(out / "items" / "000004") == contents(made / "items" / "000004")


@pytest.mark.slow
def test_what_is_missing_or_damaged_is_made_again_and_nothing_else(folder, made):
    before = contents(made / "items")
    (made / "items" / "000001" / "image.nrrd").write_bytes(b"half")
    (made / "items" / "000003" / "result.json").unlink()
    (made / "items" / ".000005.partial-abcdefgh").mkdir()
    kept = (made / "items" / "000002" / "image.nrrd").stat().st_mtime_ns
    summary = engine.make(load_plan(folder / "plan.yaml"), made)
    assert (summary.made, summary.there) == (2, 6)
    assert contents(made / "items") == before
    assert (made / "items" / "000002" / "image.nrrd").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_a_set_can_grow(folder, made):
    before = contents(made / "items")
    plan = write_plan(folder, "more.yaml", count=8)
    assert engine.make(load_plan(plan), made).made == 2
    after = contents(made / "items")
    assert {name: after[name] for name in before} == before
    assert len(read_rows(made)) == 8


def test_another_plan_is_refused(folder, made, capsys):
    plan = write_plan(folder, "other.yaml", seed=2)
    assert run("dataset", plan, "-o", made) == 2
    assert "holds a set of another plan: `seed` differs" in capsys.readouterr().err


def changed_record(item, **changes):
    path = item / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def begun(folder, tmp_path):
    """Three images of the set, which another version or other weights may have made."""
    out = tmp_path / "begun"
    assert run("dataset", folder / "plan.yaml", "-o", out, "--limit", 3, "--progress", "none") == 0
    return out


@pytest.mark.slow
def test_images_of_another_version_are_warned_of_and_the_card_names_both(folder, begun, capsys):
    record = json.loads((begun / "items" / "000001" / "result.json").read_text())
    changed_record(begun / "items" / "000001", versions=record["versions"] | {"torch": "1.0"})
    capsys.readouterr()
    assert run("dataset", folder / "plan.yaml", "-o", begun) == 0
    said = capsys.readouterr().err
    assert "1 images of this set were made with medsynth" in said
    assert "torch 1.0" in said
    card = json.loads((begun / "card.json").read_text())
    assert [entry["images"] for entry in card["programs"]] == [5, 1]
    assert any("several versions" in note and "torch 1.0" in note for note in card["warnings"])


@pytest.mark.slow
def test_two_networks_never_make_one_set(folder, begun, capsys):
    record = json.loads((begun / "items" / "000001" / "result.json").read_text())
    other = record["checkpoint"] | {"name": "old.safetensors", "sha256": "0" * 64}
    changed_record(begun / "items" / "000001", checkpoint=other)
    assert run("dataset", folder / "plan.yaml", "-o", begun) == 2
    said = capsys.readouterr().err
    assert "1 images of this set were made with the weights old.safetensors (000000000000)" in said
    assert len(list((begun / "items").iterdir())) == 3


def test_quality_says_how_many_network_calls(folder, tmp_path, capsys):
    raw = yaml.safe_load((folder / "plan.yaml").read_text())
    steps = raw.pop("steps")
    (folder / "draft.yaml").write_text(yaml.safe_dump(raw | {"quality": "draft"}))
    assert run("dataset", folder / "draft.yaml", "-o", tmp_path / "set", "--limit", 1) == 0
    record = json.loads((tmp_path / "set" / "items" / "000000" / "result.json").read_text())
    assert record["nfe"] == 2
    (folder / "both.yaml").write_text(yaml.safe_dump(raw | {"quality": "draft", "steps": steps}))
    assert run("dataset", folder / "both.yaml", "-o", tmp_path / "other") == 2
    assert "quality: draft means 2 steps" in capsys.readouterr().err


@pytest.mark.slow
def test_a_segmentation_is_read_once_for_all_slices_of_its_volume(tmp_path, monkeypatch):
    write_references(tmp_path, people=1)
    volume = sitk.ReadImage(str(tmp_path / "cts" / "P0" / "image.nrrd"))
    nodule = np.zeros(volume.GetSize()[::-1], np.uint8)
    nodule[:, 22:25, 11:14] = 1
    mask = sitk.GetImageFromArray(nodule)
    mask.CopyInformation(volume)
    sitk.WriteImage(mask, str(tmp_path / "cts" / "P0" / "nodule.nrrd"))
    source = {"images": "cts/P0/image.nrrd", "factor": [4, 8], "labels": "nodule.nrrd"}
    plan = load_plan(write_plan(tmp_path, anatomies=[source], split={"train": 1}))
    out, files = tmp_path / "set", []

    def counted(file):
        files.append(file)
        return read_labels(file)

    monkeypatch.setattr(arrange, "read_labels", counted)
    assert engine.make(plan, out).there == 6
    assert len(files) == 1
    for row in read_rows(out):
        item = out / "items" / row.id
        there = sitk.GetArrayFromImage(sitk.ReadImage(str(item / "label_01.nrrd")))
        assert np.array_equal(there[0], nodule[row.anatomy["slice"]])
        for lesion in item.glob("pathology_*.nrrd"):
            assert not (there & sitk.GetArrayFromImage(sitk.ReadImage(str(lesion)))).any()


def test_a_folder_of_something_else_is_refused(folder, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert run("dataset", folder / "plan.yaml", "-o", tmp_path) == 2
    assert "not empty and holds no set" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("bad", ["unreadable", "other"])
def test_a_reference_that_cannot_be_used_is_left_out_and_the_rest_goes_on(tmp_path, bad, capsys):
    plan = write_plan(tmp_path)
    place = tmp_path / "cts" / "P9"
    place.mkdir()
    if bad == "unreadable":
        (place / "image.nrrd").write_bytes(b"NRRD0004\nnothing")
    else:  # gray values of a display, as MR has them
        image = sitk.GetImageFromArray(np.arange(6 * 48 * 48).reshape(6, 48, 48) % 200)
        sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(place / "image.nrrd"))
    out = tmp_path / "set"
    assert run("dataset", plan, "-o", out, "--limit", 2) == 0
    said = capsys.readouterr().err
    assert "left out: " in said
    assert "P9" in said
    assert not any(row.anatomy["patient"] == "P9" for row in read_rows(out))
    record = json.loads((out / "references.json").read_text())
    assert [bool(r["error"]) for r in record["anatomies"]] == [False] * 4 + [True]


@pytest.mark.slow
def test_what_fails_is_tried_once_more_then_quarantined_and_tried_again_later(
    tmp_path, monkeypatch, capsys
):
    plan = load_plan(write_plan(tmp_path, count=3))
    tried = []
    make = Maker.make

    def failing(self, row):
        tried.append(row.id)
        if row.id == "000001":
            raise ValueError("no luck")
        return make(self, row)

    monkeypatch.setattr(Maker, "make", failing)
    summary = engine.make(plan, tmp_path / "set")
    assert sorted(tried) == ["000000", "000001", "000001", "000002"]
    assert (summary.there, summary.quarantined) == (2, ["000001"])
    record = json.loads((tmp_path / "set/quarantine/000001.json").read_text())
    assert record == {"id": "000001", "error": "no luck", "attempts": 2}
    monkeypatch.setattr(Maker, "make", make)
    summary = engine.make(plan, tmp_path / "set")
    assert (summary.made, summary.there, summary.quarantined) == (1, 3, [])
    assert not list((tmp_path / "set/quarantine").iterdir())


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_nothing_is_lost(tmp_path, monkeypatch):
    plan = load_plan(write_plan(tmp_path, count=3))
    make, made = Maker.make, []

    def full(self, row):
        if made:
            raise OSError(28, "not enough room for items: 0 MB free; make room")
        made.append(row.id)
        return make(self, row)

    monkeypatch.setattr(Maker, "make", full)
    with pytest.raises(OSError, match="make room; 1 images are there, the same command goes on"):
        engine.make(plan, tmp_path / "set")
    assert not list((tmp_path / "set/quarantine").iterdir())
    monkeypatch.setattr(Maker, "make", make)
    assert engine.make(plan, tmp_path / "set").made == 2


def test_two_runs_on_one_set_do_not_meet(tmp_path):
    from medsynth.storage.partial import working_in

    plan = load_plan(write_plan(tmp_path))
    with (
        working_in(tmp_path / "set"),
        pytest.raises(BlockingIOError, match="another run is working on"),
    ):
        engine.make(plan, tmp_path / "set")


@pytest.mark.slow
def test_an_image_with_no_place_for_its_lesion_gets_a_smaller_one(tmp_path):
    """Of 60 to 12 mm only the small end fits into a small lung."""
    sizes = {**yaml.safe_load(write_plan(tmp_path).read_text())["pathologies"], "share": 1.0}
    plan = write_plan(tmp_path, count=2, pathologies=sizes | {"diameter_mm": [12, 120]})
    summary = engine.make(load_plan(plan), tmp_path / "set")
    assert summary.quarantined == []
    assert all(e["diameter_mm"] < 70 for r in read_rows(tmp_path / "set") for e in r.lesions)


def test_the_words_of_an_outcome():
    assert outcomes.said(KeyError("x")) == "KeyError: 'x'"
    assert outcomes.said(ValueError("a\nb")) == "a b"
    assert outcomes.concerns_all(OSError(28, "full"))
    assert not outcomes.concerns_all(OSError(2, "no such file"))
