"""Every kind of fault is found in a set that was spoiled by hand, and none in one that was not."""

import gzip
import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from made_sets import grid, make_set
from PIL import Image

from medsynth.cli import dataset_verify
from medsynth.factory.finish import finish
from medsynth.factory.store import open_set
from medsynth.factory.verifying import find_faults
from medsynth.images import write_image


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = make_set(
        tmp_path_factory.mktemp("sound") / "set", write=("png8", "nifti", "webdataset")
    )
    finish(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "set")
    return tmp_path / "set"


def faults(folder):
    return [str(fault) for fault in find_faults(open_set(folder))]


@pytest.mark.slow
def test_a_sound_set_has_no_fault(sound):
    assert faults(sound) == []


def item(folder, number=0):
    return folder / "items" / f"{number:06d}"


def change_record(folder, change, number=0):
    path = item(folder, number) / "result.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def change_row(folder, number, change):
    rows = [json.loads(line) for line in (folder / "plan.jsonl").read_text().splitlines()]
    change(rows[number])
    (folder / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def other_mask(folder):
    image = sitk.ReadImage(str(item(folder) / "pathology_01.nrrd"))
    write_image(shifted(image), item(folder) / "pathology_01.nrrd")


def shifted(image):
    voxels = np.roll(sitk.GetArrayFromImage(image), 3, axis=2)
    moved = sitk.GetImageFromArray(voxels)
    moved.CopyInformation(image)
    return moved


def other_grid(folder):
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(item(folder) / "pathology_01.nrrd")))
    write_image(grid(voxels, (1.0, 1.0, 1.0)), item(folder) / "pathology_01.nrrd")


def other_image(folder):
    image = sitk.ReadImage(str(item(folder) / "image.nrrd"))
    write_image(image + 100, item(folder) / "image.nrrd")


def unmarked(folder):
    image = sitk.ReadImage(str(item(folder) / "image.nrrd"))
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    sitk.WriteImage(image, str(item(folder) / "image.nrrd"))


def unmarked_picture(folder):
    path = folder / "layouts" / "png8" / "images" / "000000.png"
    Image.open(path).copy().save(path)
    record_of(folder, "png8", "images/000000.png", path)


def unmarked_nifti(folder):
    path = folder / "layouts" / "nifti" / "train" / "000000" / "image.nii.gz"
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[148:228] = bytes(80)
    path.write_bytes(gzip.compress(bytes(data)))
    record_of(folder, "nifti", "train/000000/image.nii.gz", path)


def other_noise(folder):
    """Everything that the header and the record of the lesions say still fits."""
    path = item(folder) / "image.nrrd"
    image = sitk.ReadImage(str(path))
    image[0, 0, 0] += 1
    sitk.WriteImage(image, str(path))


def record_of(folder, layout, name, path):
    """The journal as if the layout had written the file so."""
    from medsynth.storage.files import sha256

    journal = folder / "layouts" / layout / "records.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[0]["files"][name] = sha256(path)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


def change_request(folder):
    path = item(folder) / "request.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"seed": 99}))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda f: shutil.rmtree(item(f, 2)), "000002: is not made yet"),
        (lambda f: (item(f) / "image.nrrd").unlink(), "000000: image.nrrd cannot be read"),
        (
            lambda f: (item(f) / "pathology_01.nrrd").unlink(),
            "000000: pathology_01.nrrd is not there",
        ),
        (
            lambda f: shutil.copytree(item(f), f / "items" / "000099"),
            "000099: .* belongs to no row",
        ),
        (
            lambda f: shutil.copy(item(f) / "image.nrrd", item(f) / "x.nrrd"),
            "x.nrrd is in no record",
        ),
        (other_mask, "pathology_01.nrrd lies 4.50 mm from where result.json says"),
        (other_grid, "pathology_01.nrrd is not on the grid"),
        (other_image, "image.nrrd has a mean of 140.00 within pathology_01.nrrd"),
        (
            other_noise,
            "000000: image.nrrd: 1 of 1 synthesized slices are not those that result.json",
        ),
        (unmarked, "000000: image.nrrd is not marked as synthetic"),
        (
            lambda f: change_record(f, lambda r: r.update(synthetic=False)),
            "does not say that it is",
        ),
        (
            lambda f: change_record(f, lambda r: r.update(seed=5)),
            "result.json has seed 5, plan.jsonl 0",
        ),
        (change_request, "request.yaml has seed 99"),
        (
            lambda f: change_record(f, lambda r: r["lesions"][0].update(voxels=3)),
            "pathology_01.nrrd marks 20 voxels, result.json says 3",
        ),
        (
            lambda f: change_row(f, 0, lambda r: r.update(lesions=[])),
            "1 lesions were drawn, 0 asked",
        ),
        (
            lambda f: change_row(f, 3, lambda r: r["anatomy"].update(patient="patient 0")),
            r"splits: patient patient 0 is in train \(image 000000\) and in test \(image 000003\)",
        ),
        (
            lambda f: change_row(f, 3, lambda r: r["anatomy"].update(license="")),
            "licenses: nobody says under which license the references of hospital are",
        ),
        (
            lambda f: (f / "layouts/png8/images/000000.png").unlink(),
            "layouts/png8: images/000000.png is not there",
        ),
        (
            lambda f: (f / "layouts/png8/table.csv").write_text("id\n"),
            "layouts/png8: table.csv was changed",
        ),
        (
            lambda f: (f / "layouts/webdataset/train-000000.tar").write_bytes(b""),
            "layouts/webdataset: train-000000.tar was changed",
        ),
        (
            lambda f: (f / "layouts/nifti/layout.json").unlink(),
            "layouts/nifti: is no layout of a set",
        ),
        (unmarked_picture, "layouts/png8: images/000000.png is not marked as synthetic"),
        (unmarked_nifti, "layouts/nifti: train/000000/image.nii.gz is not marked as synthetic"),
    ],
)
def test_each_fault_is_found(folder, spoil, found):
    spoil(folder)
    assert any(re.search(found, fault) for fault in faults(folder)), faults(folder)


def test_the_command_lists_the_faults_and_its_exit_code_says_so(folder):
    from argparse import Namespace

    events = []
    assert dataset_verify.run(Namespace(set=folder), events.append) == 0
    assert events[-1].data == {"faults": 0, "images": 4}
    (item(folder) / "image.nrrd").unlink()
    assert dataset_verify.run(Namespace(set=folder), events.append) == 1
    assert any("image.nrrd cannot be read" in event.message for event in events)
