"""A data set on disk: opened, read one image at a time, refused when it is none."""

import json

import pytest
import yaml
from made_sets import make_set

from medsynth.factory.store import open_set


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "set")


def test_items_come_in_the_order_of_the_rows_with_new_lesions_before_old_labels(folder):
    dataset = open_set(folder)
    items = list(dataset.items())
    assert [item.id for item in items] == [row.id for row in dataset.rows()]
    names = [annotation.class_name for annotation in items[1].annotations]
    assert names == ["lesion_spiculated", "lesion_solid", "existing_old_nodule"]
    assert items[1].image().GetSize() == items[1].annotations[2].mask().GetSize() == (32, 24, 1)
    assert not items[3].annotations


def test_an_image_that_is_not_finished_is_no_item(folder):
    (folder / "items" / "000002" / "result.json").unlink()
    dataset = open_set(folder)
    assert [item.id for item in dataset.items()] == ["000000", "000001", "000003"]
    with pytest.raises(FileNotFoundError, match="image 000002 of .* is not finished"):
        dataset.item(list(dataset.rows())[2])


def change_plan(folder, **values):
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan | values))


def change_row(folder, number, **values):
    rows = (folder / "plan.jsonl").read_text().splitlines()
    rows[number] = json.dumps(json.loads(rows[number]) | values)
    (folder / "plan.jsonl").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "plan.yaml").unlink(), "is no data set: it has no plan.yaml"),
        (lambda f: change_plan(f, format="medsynth dataset 2"), "expected 'medsynth dataset 1'"),
        (lambda f: change_plan(f, preset=None), "has no preset"),
        (lambda f: (f / "plan.jsonl").unlink(), "has no plan.jsonl yet"),
        (lambda f: change_row(f, 1, id="../../etc"), "line 2: expected an id of digits"),
        (lambda f: change_row(f, 2, split="training"), "line 3: expected a split of train"),
        (lambda f: (f / "plan.jsonl").write_text("{}\n"), "line 1 is no row of a data set"),
        (
            lambda f: (f / "items/000001/result.json").write_text("[]"),
            "result.json is damaged .* make it again",
        ),
    ],
)
def test_what_is_no_set_is_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        list(open_set(folder).items())


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder"):
        open_set(tmp_path / "no")


def test_a_record_that_names_a_file_elsewhere_is_not_followed(folder):
    path = folder / "items" / "000000" / "result.json"
    record = json.loads(path.read_text())
    record["lesions"][0]["mask"] = "../000001/pathology_01.nrrd"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="which is not its own"):
        list(next(open_set(folder).items()).annotations)
