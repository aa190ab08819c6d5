"""What is drawn for an image hangs on its id and the plan alone; splits never share a patient."""

import shutil
from collections import Counter
from dataclasses import replace

import pytest
from made_plans import plan_of
from pacs_objects import make_out

from medsynth.factory.catalog import Catalog
from medsynth.factory.draws import draw_row, draw_rows
from medsynth.factory.parse import parse
from medsynth.factory.plan_file import to_dict
from medsynth.factory.references import SourceImage, find_anatomies
from medsynth.factory.seeds import item_id, seed_of
from medsynth.factory.splits import assign, check_rows, groups_of
from medsynth.images import read_image

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def reference(name, patient=None, **more):
    return SourceImage(name, 0, patient or name, f"/images/{name}", **more)


def people(count, **more):
    return [reference(f"P{number}", **more) for number in range(count)]


def catalog(references, shares=SHARES, **options):
    split = assign(references, shares, seed=1, **{"unlimited": False, **options})
    return Catalog(tuple(references), (), split)


def test_seeds_hang_on_the_id_and_the_plan_alone():
    seeds = {seed_of(item_id(number), 1) for number in range(1000)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**62
    assert seed_of("000012", 1) == seed_of("000012", 1) != seed_of("000012", 2)


def test_a_row_is_the_same_whatever_else_is_drawn(tmp_path):
    plan, references = parse(plan_of(count=50, split=SHARES), tmp_path), catalog(people(12))
    rows = draw_rows(plan, references)
    assert draw_row(plan, references, 31) == rows[31]
    longer = replace(plan, count=80)
    assert draw_rows(longer, references)[:50] == rows


@pytest.mark.slow
def test_shares_are_those_of_the_plan(tmp_path):
    plan = parse(plan_of(count=2000, split=SHARES), tmp_path)
    rows = draw_rows(plan, catalog(people(20)))
    splits = Counter(row.split for row in rows)
    assert splits["train"] / 2000 == pytest.approx(0.8, abs=0.03)
    assert sum(bool(row.lesions) for row in rows) / 2000 == pytest.approx(0.8, abs=0.03)
    several = [len(row.lesions) for row in rows if row.lesions]
    assert sum(count == 2 for count in several) / len(several) == pytest.approx(0.3, abs=0.04)
    assert {row.anatomy["factor"] for row in rows} == {4, 5, 6, 7, 8}
    assert len({row.anatomy["id"] for row in rows}) == 20
    check_rows(rows)


def test_references_in_turn_come_equally_often(tmp_path):
    one = {"train": 1.0}
    raw = plan_of(count=36, split=one)
    raw["anatomies"] = [{**raw["anatomies"][0], "in_turn": True}]
    plan = parse(raw, tmp_path)
    rows = draw_rows(plan, catalog(people(12), plan.split))
    assert set(Counter(row.anatomy["id"] for row in rows).values()) == {3}
    # Nothing else of an image is drawn differently.
    usual = draw_rows(
        parse(plan_of(count=36, split=one), tmp_path), catalog(people(12), plan.split)
    )
    assert [row.seed for row in rows] == [row.seed for row in usual]
    assert [row.lesions for row in rows] == [row.lesions for row in usual]
    assert to_dict(parse(to_dict(plan), tmp_path)) == to_dict(plan)
    raw["anatomies"][0]["in_turn"] = "yes"
    with pytest.raises(ValueError, match=r"anatomies\[0\]\.in_turn"):
        parse(raw, tmp_path)


def test_every_split_has_a_patient():
    split = assign(people(10), SHARES, seed=3, unlimited=False)
    assert Counter(split.values()) == {"train": 8, "validation": 1, "test": 1}
    assert Counter(assign(people(3), SHARES, seed=3, unlimited=False).values()) == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }


def test_fewer_patients_than_splits_are_refused():
    with pytest.raises(ValueError, match="3 splits need at least 3 reference patients, got 2"):
        assign(people(2), SHARES, seed=1, unlimited=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"patient": "NIH-1"}, {"patient": "nih_0001"}),
        ({"marks": ("PatientID 7",)}, {"marks": ("PatientID 7",)}),
        ({"marks": ("pixels ab",)}, {"marks": ("pixels ab",)}),
        ({"marks": ("study 1.2", "pixels a")}, {"marks": ("study 1.2", "pixels b")}),
    ],
)
def test_images_of_one_patient_stay_together_whatever_they_are_called(one, other):
    planted = [reference("A", **one), reference("B", **other), *people(6)]
    assert len(groups_of(planted)) == 7
    split = assign(planted, SHARES, seed=1, unlimited=False)
    assert split["A"] == split["B"]


def test_marks_tie_together_across_a_third_image():
    chain = [
        reference("A", marks=("study 1",)),
        reference("B", marks=("study 1", "pixels x")),
        reference("C", marks=("pixels x",)),
        reference("D"),
    ]
    assert sorted(len(group) for group in groups_of(chain)) == [1, 3]


def test_two_series_in_folders_of_one_name_are_two_patients(tmp_path):
    folders = [
        str(make_out(tmp_path / who, 1, seg=False, patient=who) / "dicom/image") for who in "AB"
    ]
    raw = plan_of(anatomies=[{"images": [folder]} for folder in folders])
    assert len(groups_of(find_anatomies(parse(raw, tmp_path)))) == 2
    raw = plan_of(anatomies=[{"images": [folder, folder]} for folder in folders[:1]])
    assert len(groups_of(find_anatomies(parse(raw, tmp_path)))) == 1


def test_a_folder_of_several_series_gives_each(tmp_path):
    """As an export from a PACS leaves them: one folder, two series of each of two patients."""
    dump = tmp_path / "dump"
    dump.mkdir()
    for who in "AB":
        for study in (1, 2):
            made = make_out(tmp_path / f"{who}{study}", 2, seg=False, patient=who)
            for file in (made / "dicom/image").iterdir():
                shutil.copy(file, dump / f"{who}{study}{file.name}")
    found = find_anatomies(parse(plan_of(anatomies=[{"images": ["dump"]}]), tmp_path))
    assert len({image.anatomy["series_uid"] for image in found}) == len(found) == 4
    assert len({image.id for image in found}) == 4
    assert sorted(len(group) for group in groups_of(found)) == [2, 2]
    for image in found:
        asked = read_image(image.image, series_uid=image.anatomy["series_uid"])
        assert asked.image.GetDepth() == 2


def test_what_lies_below_a_series_is_another_one(tmp_path):
    above = make_out(tmp_path / "A", 2, seg=False, patient="A") / "dicom/image"
    below = make_out(tmp_path / "B", 2, seg=False, patient="B") / "dicom/image"
    shutil.copytree(below, above / "more")
    found = find_anatomies(parse(plan_of(anatomies=[{"images": [str(above)]}]), tmp_path))
    assert len(found) == 2
    for image in found:
        read_image(image.image, series_uid=image.anatomy.get("series_uid"))


def test_a_patient_id_that_everybody_bears_says_nothing():
    assert len(groups_of(people(5, marks=("PatientID x",)))) == 5


@pytest.mark.parametrize(
    ("marks", "said"),
    [((), "the patient one"), (("pixels ab",), "the same pixels"), (("study 1",), "study 1")],
)
def test_a_planted_leak_is_refused(marks, said):
    names = ("one", "one") if not marks else ("one", "two")
    planted = [
        reference("A", names[0], part="train", marks=marks),
        reference("B", names[1], part="test", marks=marks),
        *people(4),
    ]
    with pytest.raises(ValueError, match=f"one patient is in test and train: A .*share {said}"):
        assign(planted, SHARES, seed=1, unlimited=False)


def test_rows_that_leak_are_refused(tmp_path):
    plan = parse(plan_of(count=40, split=SHARES), tmp_path)
    rows = draw_rows(plan, catalog(people(5)))
    where = next(i for i, row in enumerate(rows) if row.split == "test")
    rows[where] = replace(rows[where], split="train")
    if not any(row.split == "test" for row in rows):
        rows.append(replace(rows[where], id="000099", split="test"))
    with pytest.raises(ValueError, match="the patient P. is in .* and in .*would leak"):
        check_rows(rows)


def test_a_split_without_patients_is_refused_when_an_image_falls_into_it(tmp_path):
    plan = parse(plan_of(count=40, split={"train": 0.5, "test": 0.5}), tmp_path)
    references = catalog(people(3, part="train"), {"train": 1.0})
    with pytest.raises(ValueError, match="split: no reference patient is in test"):
        draw_rows(plan, references)


def test_persons_of_a_phantom_have_seeds_of_their_own(tmp_path):
    plan = parse(plan_of(anatomies=[{"phantom": {}}], count=30), tmp_path)
    rows = draw_rows(plan, Catalog((), (), {}))
    assert len({row.anatomy["phantom"]["seed"] for row in rows}) == 30
    assert len({row.anatomy["patient"] for row in rows}) == 30
    check_rows(rows)
