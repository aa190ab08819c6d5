"""Two sets become one, and a layout becomes another, with nothing lost that it held."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from made_sets import make_set

from medsynth.factory import layouts
from medsynth.factory.converting import convert
from medsynth.factory.merging import merge
from medsynth.factory.store import open_set
from medsynth.factory.verifying import find_faults


def named(prefix, count=4):
    return [f"{prefix} {n}" for n in range(count)]


@pytest.fixture
def two(tmp_path):
    first = make_set(tmp_path / "a", patients=named("a"))
    second = make_set(tmp_path / "b", patients=named("b"), shape=(3, 24, 32))
    return first, second


def values(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.slow
def test_a_merged_set_holds_both_and_has_no_fault(two, tmp_path):
    (two[1] / "quarantine").mkdir()
    shutil.rmtree(two[1] / "items" / "000002")
    (two[1] / "quarantine" / "000002.json").write_text(json.dumps({"id": "000002", "error": "no"}))
    merged = merge(two, tmp_path / "c")
    assert list(find_faults(merged)) == []
    items = list(merged.items())
    assert [item.id for item in items] == [f"{n:06d}" for n in (0, 1, 2, 3, 4, 5, 7)]
    assert [note["id"] for note in merged.quarantined()] == ["000006"]
    old = [*open_set(two[0]).items(), *open_set(two[1]).items()]
    for new, was in zip(items, old, strict=True):
        assert (new.row.seed, new.row.patient, new.row.split) == (
            was.row.seed,
            was.row.patient,
            was.row.split,
        )
        assert np.array_equal(values(new.folder / "image.nrrd"), values(was.folder / "image.nrrd"))
    plan = yaml.safe_load((tmp_path / "c" / "plan.yaml").read_text())
    assert [(origin["set"], origin["first"]) for origin in plan["merged"]] == [("a", 0), ("b", 4)]
    shutil.rmtree(two[0])  # what is shared with it stays
    assert values(items[0].folder / "image.nrrd").shape == (1, 24, 32)


def test_a_patient_in_two_splits_is_refused(tmp_path):
    first = make_set(tmp_path / "a", patients=named("p"))
    second = make_set(tmp_path / "b", patients=named("p")[::-1], shape=(2, 24, 32))
    with pytest.raises(ValueError, match="patient p 3 would be in two splits: test .* and train"):
        merge((first, second), tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"preset": "chest_xray"}, "are of several domains .chest_xray, lung_ct."),
        ({}, "the same image is there twice: .*a, image 000000 and .*b, image 000000"),
    ],
)
def test_sets_that_cannot_be_one_are_refused(tmp_path, other, message):
    first, second = make_set(tmp_path / "a"), make_set(tmp_path / "b", **other)
    with pytest.raises(ValueError, match=message):
        merge((first, second), tmp_path / "c")
    with pytest.raises(ValueError, match="at least two sets"):
        merge((first,), tmp_path / "c")
    with pytest.raises(FileExistsError, match="lies in"):
        merge((first, second), first / "c")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nifti", "nnunet", "monai", "webdataset"])
def test_a_layout_becomes_another_without_its_set(tmp_path, name):
    """What a label map holds comes back to the voxel: one mask a class, the new lesion on top."""
    dataset = open_set(make_set(tmp_path / "set", shape=(3, 24, 32)))
    direct = convert(dataset.folder, "monai", tmp_path / "direct")
    taken = convert(dataset.folder, name, tmp_path / "taken")
    shutil.rmtree(dataset.folder)
    made = convert(taken, "monai", tmp_path / "made")
    for part in ("images", "labels"):
        files = sorted((direct / part).iterdir())
        assert len(files) == 4
        for file in files:
            assert np.array_equal(values(file), values(made / part / file.name))
    there, here = (json.loads((f / "datalist.json").read_text()) for f in (direct, made))
    assert here["labels"] == there["labels"]
    assert here["licence"].startswith("CC BY 4.0 (references)")
    for key in ("training", "validation", "test"):
        assert [(e["image"], e["group"]) for e in here[key]] == [
            (e["image"], e["group"]) for e in there[key]
        ]
    assert not list(tmp_path.glob(".medsynth*"))


@pytest.mark.slow
def test_nifti_keeps_every_lesion_by_itself(tmp_path):
    dataset = open_set(make_set(tmp_path / "set"))
    taken = convert(dataset.folder, "nifti", tmp_path / "taken")
    again = convert(taken, "nifti", tmp_path / "again")
    files = sorted(path.relative_to(taken) for path in taken.rglob("*.nii.gz"))
    assert files == sorted(path.relative_to(again) for path in again.rglob("*.nii.gz"))
    for file in files:
        assert np.array_equal(values(taken / file), values(again / file))


def test_layouts_without_every_value_are_refused_with_words(tmp_path):
    taken = convert(make_set(tmp_path / "set"), "png8", tmp_path / "taken")
    with pytest.raises(
        ValueError, match="does not hold every value .* one of monai, nifti, nnunet"
    ):
        convert(taken, "monai", tmp_path / "made")
    with pytest.raises(ValueError, match="say where the new one goes: -o FOLDER"):
        convert(taken, "monai")
    with pytest.raises(ValueError, match="is no data set"):
        convert(tmp_path, "monai")


@pytest.mark.slow
def test_what_goes_out_names_no_patient_and_no_folder(tmp_path):
    folder = make_set(tmp_path / "secret", patients=[f"Doe {n}" for n in range(4)])
    for name in set(layouts.LAYOUTS) - {"dicom"}:
        taken = convert(folder, name, tmp_path / name)
        for path in taken.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert b"Doe" not in data, path
                assert b"/nowhere" not in data, path
