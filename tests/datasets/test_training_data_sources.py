"""Tables of pictures, NIfTI files and DICOM folders: read onto the preset's grid, whole and once."""

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from made_up_network import TINY
from PIL import Image
from training_made_up_sets import ct_slices, film, picture, write_csv

from medsynth import domains as presets
from medsynth.cli.app import main
from medsynth.datasets import data as training_data
from medsynth.datasets.data import load_slices, read_split
from medsynth.datasets.entries import HELD_OUT, TRAINING, Box
from medsynth.datasets.layouts import LAYOUTS
from medsynth.datasets.settings import Data

CHEST = replace(presets.get("chest_xray"), grid=(32, 32))
BREAST = replace(presets.get("mammography"), grid=(40, 24))
LUNG = replace(presets.get("lung_ct"), grid=(16, 16))
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
HEADER = ("file", "patient", "label", "mask_file", "boxes", "size", "pixel_spacing_mm", "notes")


@pytest.fixture
def table(tmp_path):
    """A folder as ../shared/data has them: paths in SOURCES.csv begin with the folder's own name."""
    root = tmp_path / "films"
    for name, value in (("a/1.png", 50), ("a/2.jpg", 80), ("b/3.png", 200)):
        picture(root / name, (64, 64), value)
    write_csv(
        root / "SOURCES.csv",
        HEADER,
        ("films/a/1.png", "NIH-1", "Mass|Effusion", "", "Mass:1,2,30,40", "64x64", "", "first"),
        ("films/a/2.jpg", "nih_0001", "", "", "", "64x64", "", ""),
        ("films/b/3.png", "NIH-2", "No Finding", "", "1,2,3,4;Mass:5,6,7,8", "", "", ""),
    )
    return root


def test_a_table_is_read_with_everything_that_it_says(table):
    one, two, three = read_split(Data(root=str(table), layout="table")).training
    assert [e.name for e in (one, two, three)] == ["a/1.png", "a/2.jpg", "b/3.png"]
    assert one.path == table / "a/1.png"
    assert one.labels == ("Mass", "Effusion")
    assert one.boxes == (Box(1, 2, 30, 40, "Mass"),)
    assert one.size == (64, 64)
    assert one.details == {"notes": "first"}
    assert two.labels == two.boxes == ()
    assert three.boxes == (Box(1, 2, 3, 4), Box(5, 6, 7, 8, "Mass"))


def test_slices_of_a_table_are_on_the_grid_and_split_by_patient_under_any_spelling(table):
    data = Data(root=str(table), layout="table", held_out=("NIH-1",))
    held_out = load_slices(data, preset=CHEST, held_out=True)
    training = load_slices(data, preset=CHEST)
    assert held_out.series == ("a/1.png", "a/2.jpg")
    assert training.series == ("b/3.png",)
    assert training.labels == (("No Finding",),)
    assert held_out.images.dtype == np.int16
    assert held_out.images.shape == (2, 32, 32)
    assert held_out.images[:, 16, 16].tolist() == [50, pytest.approx(80, abs=2)]
    assert training.split == held_out.split == read_split(data).digest


def test_paths_may_be_relative_to_the_folder_itself_and_the_table_may_have_any_name(table):
    (table / "SOURCES.csv").unlink()
    write_csv(table / "list.csv", ("patient", "file"), ("p", "a/1.png"))
    data = Data(root=str(table), layout="table")
    assert [e.name for e in read_split(data).training] == ["a/1.png"]
    write_csv(table / "other.csv", ("patient", "file"), ("p", "b/3.png"))
    with pytest.raises(ValueError, match=r"2 CSV files \(list.csv, ...\); name it in data.table"):
        read_split(data)
    assert read_split(replace(data, table="other.csv")).training[0].name == "b/3.png"
    with pytest.raises(ValueError, match=r"data.table: .*none.csv is not there"):
        read_split(replace(data, table="none.csv"))


def test_a_split_column_decides(table):
    write_csv(
        table / "SOURCES.csv",
        ("file", "patient", "split"),
        ("a/1.png", "p1", "train"),
        ("a/2.jpg", "p2", "Test"),
        ("b/3.png", "p3", "val"),
    )
    split = read_split(Data(root=str(table), layout="table"))
    assert [e.part for e in split.training] == [TRAINING]
    assert [e.part for e in split.held_out] == [HELD_OUT, HELD_OUT]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (("image", "patient"), ("a/1.png", "p"), "lacks the column file; it has image, patient"),
        (
            ("file", "patient"),
            ("a/9.png", "p"),
            "names 1 files that are not there, such as a/9.png",
        ),
        (("file", "patient"), ("", "p"), "line 2: no file"),
        (("file", "patient", "split"), ("a/1.png", "p", "tset"), "split is 'tset', expected train"),
        (("file", "patient", "boxes"), ("a/1.png", "p", "1,2,3"), "box '1,2,3' is not label:x0"),
        (("file", "patient", "boxes"), ("a/1.png", "p", "3,3,1,9"), "box '3,3,1,9' is empty"),
        (("file", "patient", "size"), ("a/1.png", "p", "64"), "size '64' is not COLUMNSxROWS"),
        (
            ("file", "patient", "pixel_spacing_mm"),
            ("a/1.png", "p", "0.1x0.2"),
            "'0.1x0.2' is not the size of a square pixel",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named(table, header, row, message):
    write_csv(table / "SOURCES.csv", header, row)
    with pytest.raises(ValueError, match=message):
        read_split(Data(root=str(table), layout="table"))


def test_a_file_listed_twice_is_refused(table):
    write_csv(table / "SOURCES.csv", ("file", "patient"), ("a/1.png", "p"), ("films/a/1.png", "q"))
    with pytest.raises(ValueError, match=r"names a/1.png more than once"):
        read_split(Data(root=str(table), layout="table"))


def test_a_picture_of_another_size_than_its_row_says_is_refused(table):
    write_csv(table / "SOURCES.csv", ("file", "patient", "size"), ("a/1.png", "p", "128x64"))
    with pytest.raises(ValueError, match=r"1.png is 64 x 64 pixels, its row says 128 x 64"):
        load_slices(Data(root=str(table), layout="table"), preset=CHEST)


def test_images_without_a_patient_are_held_out_in_blocks_of_numbers(tmp_path):
    rows = []
    for number in (1, 2, 8, 9, 10):
        picture(tmp_path / f"scan_{number:04d}.png")
        rows.append((f"scan_{number:04d}.png", "unknown (index block)"))
    write_csv(tmp_path / "SOURCES.csv", ("file", "patient"), *rows)
    data = Data(root=str(tmp_path), layout="table", held_out=("scan_0008..scan_0010",))
    split = read_split(data)
    assert [e.patient for e in split.training] == ["scan_0001", "scan_0002"]
    assert [e.patient for e in split.held_out] == ["scan_0008", "scan_0009", "scan_0010"]
    with pytest.raises(ValueError, match="held_out_fraction splits by patient"):
        read_split(replace(data, held_out=(), held_out_fraction=0.5))


def test_films_come_to_the_scale_of_the_preset(tmp_path):
    for name, mm in (("fine", 0.1), ("coarse", 0.2)):
        rows, columns = round(4 / mm), round(3 / mm)
        Image.fromarray(np.full((rows, columns), 200, np.uint8)).save(tmp_path / f"{name}.png")
    rows = [("fine.png", "p", "0.1"), ("coarse.png", "q", "0.2 0.2")]
    write_csv(tmp_path / "t.csv", ("file", "patient", "pixel_spacing_mm"), *rows)
    images = load_slices(Data(root=str(tmp_path), layout="table"), preset=BREAST).images
    for image in images:  # 4 x 3 mm are 16 x 12 pixels of 0.25 mm
        assert (image > 100).any(axis=1).sum() == 16
        assert (image > 100).any(axis=0).sum() == 12


def test_a_film_without_pixel_size_needs_one_where_the_preset_has_a_scale(tmp_path):
    picture(tmp_path / "1.png", (16, 12), 200)
    write_csv(tmp_path / "t.csv", ("file", "patient"), ("1.png", "p"))
    data = Data(root=str(tmp_path), layout="table")
    with pytest.raises(ValueError, match=r"which preset mammography needs; set data.pixel_mm"):
        load_slices(data, preset=BREAST)
    load_slices(data, preset=CHEST)
    image = load_slices(replace(data, pixel_mm=0.25), preset=BREAST).images[0]
    assert (image > 100).any(axis=1).sum() == 14  # the picture's own black rim is not counted


def test_a_12_bit_film_is_shown_in_its_window(tmp_path):
    pixels = np.full((40, 24), 500, np.uint16)
    pixels[10:30, 6:18] = 1500
    spacing = {"ImagerPixelSpacing": [0.25, 0.25]}
    film(tmp_path / "p/1.dcm", pixels, WindowCenter=1000.5, WindowWidth=2001, **spacing)
    image = load_slices(Data(root=str(tmp_path)), preset=BREAST).images[0]
    assert image[20, 12] == pytest.approx(255 * 0.75, abs=1)
    assert image[2, 2] == pytest.approx(255 * 0.25, abs=1)


def test_ct_on_the_grid_is_left_as_it_is_and_another_is_fitted(tmp_path):
    ct_slices(tmp_path / "p1" / "ct", 2, size=16, PatientID="p1")
    ct_slices(tmp_path / "p2" / "ct", 2, size=32, PatientID="p2")
    data = Data(root=str(tmp_path), held_out=("p2",))
    exact = load_slices(data, preset=LUNG).images
    assert exact.shape == (2, 16, 16)
    assert (exact == np.array([-24, -23])[:, None, None]).all()
    fitted = load_slices(data, preset=LUNG, held_out=True).images
    assert fitted.shape == (2, 16, 16)
    assert fitted[:, 8, 8].tolist() == [-24, -23]


def test_every_nth_slice_of_a_volume(tmp_path):
    ct_slices(tmp_path / "p1" / "ct", 8, size=16, PatientID="p1")
    images = load_slices(Data(root=str(tmp_path), every=3), preset=LUNG).images
    assert images[:, 0, 0].tolist() == [-23, -20, -17]  # 1, 4 (the middle) and 7
    with pytest.raises(ValueError, match=r"data.every must be at least 1, got 0"):
        Data(every=0)


def volume(path, values, *, transform=None):
    """A NIfTI file; `transform` permutes axes, as some programs write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.7, 2.0))
    if transform:
        image = sitk.PermuteAxes(image, transform)
    sitk.WriteImage(image, str(path))


def test_nifti_volumes_give_axial_slices_however_their_axes_lie(tmp_path):
    values = np.random.default_rng(0).integers(-900, 900, (3, 16, 16)).astype(np.int16)
    volume(tmp_path / "p1" / "ct.nii.gz", values)
    volume(tmp_path / "p2" / "ct.nii", values, transform=[2, 0, 1])
    data = Data(root=str(tmp_path), layout="nifti")
    slices = load_slices(data, preset=LUNG)
    assert slices.patients == ("p1",) * 3 + ("p2",) * 3
    assert (slices.images == np.concatenate([values, values])).all()


def test_a_two_dimensional_nifti_file_is_one_slice(tmp_path):
    volume(tmp_path / "p1" / "a.nii.gz", np.full((1, 16, 16), 100, np.int16))
    image = sitk.GetImageFromArray(np.full((16, 16), 50, np.int16))
    sitk.WriteImage(image, str(tmp_path / "p1" / "b.nii.gz"))
    slices = load_slices(Data(root=str(tmp_path), layout="nifti"), preset=LUNG)
    assert slices.images[:, 8, 8].tolist() == [100, 50]


@pytest.mark.parametrize(
    ("files", "pattern", "patients"),
    [
        (["sub-01/ses-1/anat/sub-01_T1w.nii.gz", "sub-02/a.nii"], "", ["sub-01", "sub-02"]),
        (
            ["NIH-1_000.nii.gz", "NIH-1_001.nii.gz", "NIH-10_000.nii.gz"],
            "",
            ["NIH-1"] * 2 + ["NIH-10"],
        ),
        (["imagesTr/lung_001.nii.gz", "imagesTr/lung_002.nii.gz"], "", ["imagesTr"] * 2),
        (
            ["imagesTr/lung_001.nii.gz", "imagesTr/lung_002.nii.gz"],
            r"(lung_\d+)",
            ["lung_001", "lung_002"],
        ),
    ],
)
def test_the_patient_of_a_nifti_file(files, pattern, patients, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    split = read_split(Data(root=str(tmp_path), layout="nifti", patient_pattern=pattern))
    assert sorted(e.patient for e in split.training) == patients


def test_masks_beside_nifti_images_are_masks(tmp_path):
    for name in ("p1/p1_t1.nii", "p1/p1_t2.nii", "p1/p1_seg.nii", "p2/ct.nii", "p2/label.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("q1_ct.nii", "q10_ct.nii", "mask_q1.nii"):
        (tmp_path / name).touch()
    split = read_split(Data(root=str(tmp_path), layout="nifti"))
    masks = {e.name: [m.name for m in e.masks] for e in split.training}
    assert masks == {
        "p1/p1_t1.nii": ["p1_seg.nii"],
        "p1/p1_t2.nii": ["p1_seg.nii"],
        "p2/ct.nii": ["label.nii.gz"],
        "q1_ct.nii": ["mask_q1.nii"],
        "q10_ct.nii": [],
    }


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("p[0-9]", "needs a group"),
        ("(p", "patient_pattern"),
        ("(q.)", "finds no patient in p1.nii"),
    ],
)
def test_a_pattern_that_cannot_find_patients_is_refused(pattern, message, tmp_path):
    (tmp_path / "p1.nii").touch()
    with pytest.raises(ValueError, match=message):
        read_split(Data(root=str(tmp_path), layout="nifti", patient_pattern=pattern))


def test_what_cannot_fit_into_memory_is_refused_before_it_is_read(table, monkeypatch):
    class Memory:
        available = 3 * 32 * 32 * 2

    monkeypatch.setattr(training_data.psutil, "virtual_memory", Memory)
    read = []
    monkeypatch.setattr(training_data, "read_stack", lambda *a, **k: read.append(a))
    with pytest.raises(MemoryError, match=r"3 slices need .* every n-th slice \(data.every\)"):
        load_slices(Data(root=str(table), layout="table"), preset=CHEST)
    assert not read


def test_nobody_left_in_a_part_is_an_error(table):
    data = Data(root=str(table), layout="table")
    with pytest.raises(ValueError, match="nobody is held out; set data.held_out"):
        load_slices(data, preset=CHEST, held_out=True)
    with pytest.raises(ValueError, match="everybody is held out"):
        load_slices(replace(data, held_out=("*",)), preset=CHEST)
    with pytest.raises(ValueError, match="data.exclude leaves out all 3"):
        read_split(replace(data, exclude=("a/", "b/")))


NETWORK = TINY | {"image_size": [256, 256]}


@pytest.mark.slow
def test_the_command_writes_the_split_down_and_refuses_another(table, tmp_path, capsys):
    recipe = {
        "preset": "chest_xray",
        "phases": [{"steps": 2, "batch_size": 1, "crop": 32}],
        "data": {"layout": "table", "held_out": ["NIH-2"], "statement": "x", "license": "none"},
        "network": NETWORK,
        "samples": {"every": 0},
        "workers": 0,
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    words = [
        "train",
        str(tmp_path / "tiny.yaml"),
        "--data",
        str(table),
        "-o",
        str(tmp_path / "run"),
    ]
    words += ["--device", "cpu"]
    assert main([*words, "--stop-at", "1"]) == 0
    lines = (tmp_path / "run" / "split.csv").read_text().splitlines()
    assert lines[1:] == [
        "a/1.png,NIH-1,training",
        "a/2.jpg,nih_0001,training",
        "b/3.png,NIH-2,held_out",
    ]
    capsys.readouterr()
    assert main([*words, "--set", 'data.held_out=["NIH-1"]']) == 2
    assert "trained with another split" in capsys.readouterr().err
    evaluate = ["evaluate", str(tmp_path / "tiny.yaml"), "--data", str(table)]
    evaluate += ["--weights", str(tmp_path / "run/weights.safetensors"), "-o", str(tmp_path / "e")]
    recipe["data"]["held_out"] = ["NIH-1"]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    assert main(evaluate) == 2
    message = capsys.readouterr().err
    assert "evaluate with the recipe and the data of the training" in message
    assert "was training, is held_out" in message
    assert not (tmp_path / "e").exists()


def test_the_page_lists_every_key_and_every_layout():
    text = (Path(__file__).resolve().parents[2] / "docs" / "training-data.md").read_text()
    words = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    listed = set(re.findall(r"`([^`]+)`", " ".join(words))) - {"layout"}
    assert listed == {f.name for f in fields(Data)} - {"layout"} | set(LAYOUTS)
