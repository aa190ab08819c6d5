"""Every layout is read back by the library that it is for, and holds what the set holds."""

import csv
import json
import tarfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_sets import make_set
from PIL import Image

from medsynth.domains import get
from medsynth.factory import layouts
from medsynth.factory.finish import context_for, finish
from medsynth.factory.layouts.coco import run_lengths
from medsynth.factory.store import open_set
from medsynth.marking import TEXT

SHAPES = {"pictures": (1, 24, 32), "volumes": (4, 24, 32)}


@pytest.fixture(scope="module", params=sorted(SHAPES))
def dataset(request, tmp_path_factory):
    return open_set(
        make_set(tmp_path_factory.mktemp(request.param) / "set", shape=SHAPES[request.param])
    )


def written(dataset, name):
    finish(dataset.folder, write_only(name))
    return dataset.folder / "layouts" / name


def write_only(*names):
    return type("Plan", (), {"write": names})()


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values_of(item):
    return sitk.GetArrayFromImage(item.image())


def expected_labels(item, context):
    """The new lesions over the existing labels, by hand."""
    labels = np.zeros(values_of(item).shape, np.uint8)
    for existing in (True, False):
        for each in item.annotations:
            if each.existing == existing:
                labels[each.voxels()] = context.classes.index(each.class_name) + 1
    return labels


def test_classes_keep_old_labels_apart_from_new_lesions(dataset):
    context = context_for(dataset)
    assert context.classes == ("lesion_solid", "lesion_spiculated", "existing_old_nodule")


@pytest.mark.slow
def test_nifti_holds_every_mask_by_itself(dataset):
    import nibabel

    folder = written(dataset, "nifti")
    lines = table(folder / "table.csv")
    for item in dataset.items():
        own = [line for line in lines if line["id"] == item.id]
        assert len(own) == 1 + len(item.annotations)
        for line in own:
            file = nibabel.load(folder / line["file"])
            assert file.header["descrip"].tobytes().decode().rstrip("\0") == TEXT
            voxels = np.asarray(file.dataobj).T
            if line["kind"] == "image":
                assert np.array_equal(voxels, values_of(item))
                assert np.allclose(np.diag(file.affine)[:3], (-1.5, -2.0, 3.0))
        masks = [np.asarray(nibabel.load(folder / line["file"]).dataobj).T for line in own[1:]]
        for mask, each in zip(masks, item.annotations, strict=True):
            assert np.array_equal(mask != 0, each.voxels())


def test_monai_reads_its_datalist(dataset):
    data = pytest.importorskip("monai.data")
    folder = written(dataset, "monai")
    context = context_for(dataset)
    items = {item.id: item for item in dataset.items()}
    seen = set()
    for key, split in (("training", "train"), ("validation", "validation"), ("test", "test")):
        listed = data.load_decathlon_datalist(folder / "datalist.json", True, key)
        for entry in listed:
            item = items[entry["id"]]
            assert item.row.split == split
            image, label = (
                sitk.GetArrayFromImage(sitk.ReadImage(entry[k])) for k in ("image", "label")
            )
            assert np.array_equal(image, values_of(item))
            assert np.array_equal(label, expected_labels(item, context))
            seen.add(item.id)
    assert seen == set(items)


@pytest.mark.slow
def test_png_of_8_bits_is_what_the_window_shows(dataset):
    folder = written(dataset, "png8")
    window = get("lung_ct").windows[0]
    check_pictures(dataset, folder, lambda line, values: window.to_8_bit(values))
    line = table(folder / "table.csv")[0]
    assert (line["window"], float(line["window_center"]), float(line["column_mm"])) == (
        "lung",
        -600,
        1.5,
    )


@pytest.mark.slow
def test_png_of_16_bits_gives_the_values_back(dataset):
    folder = written(dataset, "png16")

    def stored(line, values):
        return np.rint((values - float(line["intercept"])) / float(line["slope"])).astype(np.uint16)

    lines = check_pictures(dataset, folder, stored)
    assert {line["pixels_clipped"] for line in lines} == {"0"}
    items = {item.id: item for item in dataset.items()}
    for line in lines:
        pixels = np.asarray(Image.open(folder / line["image"])).astype(float)
        back = pixels * float(line["slope"]) + float(line["intercept"])
        assert np.array_equal(back, values_of(items[line["id"]])[int(line["slice"])])


def check_pictures(dataset, folder, expected):
    context = context_for(dataset)
    items = {item.id: item for item in dataset.items()}
    lines = table(folder / "table.csv")
    assert len(lines) == sum(len(values_of(item)) for item in items.values())
    for line in lines:
        item, k = items[line["id"]], int(line["slice"])
        picture, mask = (Image.open(folder / line[part]) for part in ("image", "mask"))
        assert picture.text["SYNTHETIC"] == mask.text["SYNTHETIC"] == TEXT
        assert np.array_equal(np.asarray(picture), expected(line, values_of(item)[k]))
        assert np.array_equal(np.asarray(mask), expected_labels(item, context)[k])
    return lines


@pytest.mark.slow
def test_coco_reads_masks_right_to_the_pixel(dataset, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    folder = written(dataset, "coco")
    items = {item.id: item for item in dataset.items()}
    count = 0
    for split in ("train", "validation", "test"):
        api = coco.COCO(str(folder / "annotations" / f"instances_{split}.json"))
        assert TEXT in api.dataset["info"]["description"]
        for picture in api.loadImgs(api.getImgIds()):
            item = items[picture["file_name"][:6]]
            assert item.row.split == split
            k = picture["slice"]
            found = api.loadAnns(api.getAnnIds(imgIds=[picture["id"]]))
            drawn = [each for each in item.annotations if each.voxels()[k].any()]
            assert len(found) == len(drawn)
            for each, note in zip(drawn, found, strict=True):
                mask = each.voxels()[k]
                assert np.array_equal(api.annToMask(note) != 0, mask)
                assert note["area"] == mask.sum()
                x, y, width, height = note["bbox"]
                box = np.zeros_like(mask)
                box[y : y + height, x : x + width] = True
                assert (box | ~mask).all()
                assert mask[y].any()
                assert mask[:, x + width - 1].any()
                assert api.loadCats([note["category_id"]])[0]["name"] == each.class_name
            count += 1
    assert count == sum(len(values_of(item)) for item in items.values())


@pytest.mark.parametrize("first", [0, 1])
def test_run_lengths_are_those_of_pycocotools(first):
    mask_api = pytest.importorskip("pycocotools.mask")
    mask = np.random.default_rng(first).uniform(size=(13, 7)) < 0.4
    mask[0, 0] = first
    ours = mask_api.frPyObjects({"counts": run_lengths(mask), "size": [13, 7]}, 13, 7)
    theirs = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours["counts"] == theirs["counts"]


def test_webdataset_reads_its_shards(dataset):
    webdataset = pytest.importorskip("webdataset")
    folder = written(dataset, "webdataset")
    context = context_for(dataset)
    items = {item.id: item for item in dataset.items()}
    assert not (folder / "samples").exists()
    seen = set()
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            assert tar.pax_headers["comment"] == TEXT
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False).decode():
            item, about = items[sample["__key__"]], sample["json"]
            assert shard.name.startswith(f"{item.row.split}-")
            assert np.array_equal(sample["image.npy"], values_of(item))
            assert np.array_equal(sample["mask.npy"], expected_labels(item, context))
            assert about["SYNTHETIC"] == TEXT
            assert tuple(about["spacing_mm"]) == item.image().GetSpacing()
            seen.add(item.id)
    assert seen == set(items)


@pytest.mark.slow
def test_dicom_has_a_study_each_with_new_lesions_apart_from_old_labels(dataset):
    folder = written(dataset, "dicom")
    studies = set()
    for line in table(folder / "index.csv"):
        item = next(item for item in dataset.items() if item.id == line["id"])
        home = folder / line["folder"]
        images = [pydicom.dcmread(f) for f in sorted((home / "image").glob("*.dcm"))]
        assert [image.SyntheticData for image in images] == ["YES"] * len(values_of(item))
        for k, image in enumerate(images):
            assert np.array_equal(
                image.pixel_array * image.RescaleSlope + image.RescaleIntercept, values_of(item)[k]
            )
        studies.add(images[0].StudyInstanceUID)
        for part, existing in (("seg", False), ("labels", True)):
            expected = [each for each in item.annotations if each.existing == existing]
            check_segmentation(home / part, expected, images)
    assert len(studies) == 4


def check_segmentation(folder, expected, images):
    import highdicom

    if not expected:
        assert not folder.exists()
        return
    seg = highdicom.seg.segread(folder / "0001.dcm")
    assert seg.SyntheticData == "YES"
    uids = [image.SOPInstanceUID for image in images]
    voxels = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for number, each in enumerate(expected):
        assert np.array_equal(voxels[..., number] != 0, each.voxels())


def test_a_second_time_nothing_is_written(dataset):
    folder = written(dataset, "monai")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    written(dataset, "monai")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    about = json.loads((folder / "layout.json").read_text())
    assert (about["images"], about["mark"]) == (4, TEXT)
    assert about["license"].startswith("CC BY 4.0 (references); ")


def test_an_unknown_layout_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown layout 'nnunett'.*did you mean 'nnunet'"):
        layouts.get("nnunett")


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_each_layout_is_in_the_help_and_on_the_page(name, repo_root, capsys):
    from medsynth.cli import app

    with pytest.raises(SystemExit):
        app.main(["dataset", "convert", "--help"])
    assert name in capsys.readouterr().out
    assert f"\n| `{name}` | " in (repo_root / "docs" / "datasets.md").read_text()
    assert layouts.get(name).name == name
    assert layouts.get(name).title == layouts.LAYOUTS[name].title
