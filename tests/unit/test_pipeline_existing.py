"""Labels that the reference already has: on its grid, named, coded, held against new lesions."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_dicom import DERIVATION, JOB, reference_headers
from made_pictures import SHAPE, body

from medsynth import domains as presets
from medsynth.dicom import label_codes, write_series
from medsynth.errors import GeometryError
from medsynth.events import ignore
from medsynth.pipeline.existing import UNLABELED
from medsynth.pipeline.plan import prepare
from medsynth.request import parse, to_dict


def label_map(spacing=(2.0, 2.0, 3.0), origin=(-40.0, -30.0, 12.0)):
    """Value 1: 6 x 5 x 2 voxels; value 3: one voxel."""
    values = np.zeros(SHAPE, np.uint8)
    values[2:4, 12:17, 20:26], values[5, 20, 30] = 1, 3
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


@pytest.fixture
def folder(tmp_path):
    sitk.WriteImage(body(), str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(label_map(), str(tmp_path / "labels.nrrd"))
    return tmp_path


def prepared(folder, labels=None, **changes):
    anatomy = {"image": "ct.nrrd"} | ({} if labels is None else {"labels": labels})
    raw = {"preset": "lung_ct", "anatomy": anatomy} | changes
    return prepare(parse(raw, folder), preset=presets.get("lung_ct"), listener=ignore)


def array(image):
    return sitk.GetArrayFromImage(image)


@pytest.mark.slow
def test_without_labels_a_real_image_is_a_warning_and_an_empty_list_is_an_answer(folder):
    assert UNLABELED in prepared(folder).warnings
    assert UNLABELED not in prepared(folder, []).warnings
    phantom = {"phantom": {"slices": 1, "size": [64, 64], "spacing_mm": [6, 6, 3]}}
    raw = parse({"preset": "lung_ct", "anatomy": phantom}, folder)
    found = prepare(raw, preset=presets.get("lung_ct"), listener=ignore)
    assert UNLABELED not in found.warnings


def test_labels_arrive_by_value_with_their_names_and_codes(folder):
    entry = {"file": "labels.nrrd", "names": {1: "tumor"}, "codes": {3: ["1", "99X", "Cyst"]}}
    first, second = prepared(folder, entry).labels
    assert (first.name, first.value, second.name) == ("tumor", 1, "finding 2")
    assert second.coded == (None, ("1", "99X", "Cyst"))
    assert np.array_equal(array(first.mask), array(label_map()) == 1)
    assert np.array_equal(array(second.mask), array(label_map()) == 3)


def test_another_grid_is_brought_over_by_nearest_neighbor(folder):
    fine = sitk.Resample(
        label_map(), (88, 80, 24), sitk.Transform(), sitk.sitkNearestNeighbor, (-40.5, -30.5, 11.0),
        (1.0, 1.0, 1.0), (1, 0, 0, 0, 1, 0, 0, 0, 1), 0,
    )  # fmt: skip
    sitk.WriteImage(fine, str(folder / "fine.nrrd"))
    first, _ = prepared(folder, "fine.nrrd").labels
    expected = sitk.Resample(
        fine == 1, body(), sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8
    )
    assert set(np.unique(array(first.mask))) == {0, 1}
    assert np.array_equal(array(first.mask), array(expected))
    assert array(first.mask).sum() == (array(label_map()) == 1).sum()


def test_outside_is_refused_and_partly_outside_is_a_warning(folder):
    sitk.WriteImage(label_map(origin=(500.0, 0.0, 0.0)), str(folder / "far.nrrd"))
    with pytest.raises(GeometryError, match=r"anatomy\.labels\[1\]: label 1 .* lies outside"):
        prepared(folder, ["labels.nrrd", "far.nrrd"])
    sitk.WriteImage(label_map(origin=(-40.0, -30.0, 3.0)), str(folder / "low.nrrd"))
    notes = prepared(folder, "low.nrrd").warnings
    assert any("anatomy.labels[0]: label 1" in n and "50% of it lies outside" in n for n in notes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"file": "labels.nrrd", "names": {2: "x"}}, r"labels\[0\]\.names: .* has no label 2; it has 1, 3"),
        ({"file": "labels.nrrd", "names": {"a": "x"}}, r"labels\.names: expected whole numbers from 1"),
        ({"file": "labels.nrrd", "codes": {1: ["x"]}}, r"labels\.codes\.1: expected three texts"),
        ({"names": {1: "x"}}, r"labels\.file: missing"),
        ({"fil": "labels.nrrd"}, r"labels\.fil: unknown key, did you mean 'file'"),
        (["ct.nrrd"], r"anatomy\.labels\[0\]: .* holds values such as -1000"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_label_is_refused_by_its_place(folder, labels, message):
    with pytest.raises(ValueError, match=message):
        prepared(folder, labels)


def test_a_phantom_takes_no_labels(folder):
    anatomy = {"phantom": {}, "labels": "labels.nrrd"}
    with pytest.raises(ValueError, match=r"anatomy\.labels: a phantom has no findings"):
        parse({"preset": "lung_ct", "anatomy": anatomy}, folder)


def test_a_new_lesion_on_an_existing_label_and_a_label_that_may_vanish_are_warnings(folder):
    # Voxel (22, 14, 3) lies in label 1.
    lesion = {
        "center_mm": [4, -2, 21],
        "diameter_mm": 8,
        "source": {"procedural": {"kind": "solid"}},
    }
    notes = prepared(folder, "labels.nrrd", pathologies=[lesion], extent="all").warnings
    assert any("pathologies[0] overlaps the existing label 'finding 1'" in note for note in notes)
    assert any("'finding 2' is 1 x 1 pixels" in note for note in notes)
    kept = prepared(folder, "labels.nrrd", pathologies=[lesion], background="keep").warnings
    assert not any("'finding 2' is" in note for note in kept)


def test_labels_are_written_back_into_a_request(folder):
    entry = {"file": "labels.nrrd", "names": {1: "tumor"}, "codes": {3: ["1", "99X", "Cyst"]}}
    raw = {"preset": "lung_ct", "anatomy": {"image": "ct.nrrd", "labels": [entry, "labels.nrrd"]}}
    for labels in ([entry, "labels.nrrd"], []):
        raw["anatomy"]["labels"] = labels
        request = parse(raw, folder)
        assert parse(to_dict(request)) == request
        assert len(request.anatomy.labels) == len(labels)


@pytest.mark.parametrize(
    ("name", "coded", "expected"),
    [
        ("Left_Lung", (None, None), ("123037004", "44029006")),
        ("nodule 3", (None, None), ("49755003", "27925004")),
        ("Tumor", (None, None), ("49755003", "4147007")),
        ("what is it", (None, None), ("49755003", "52988006")),
        ("x", (("1", "99X", "c"), ("2", "99X", "t")), ("1", "2")),
    ],
)
def test_a_label_is_coded_as_its_file_says_else_by_its_name(name, coded, expected):
    assert tuple(code.value for code in label_codes(name, coded, "CT")) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", [{"names": {1: "of Muster"}}, {"codes": {1: ["1", "99X", "Erika's mass"]}}]
)
def test_a_name_of_the_patient_is_refused_as_a_name_of_a_label(folder, entry):
    image = sitk.Cast(body(), sitk.sitkInt16)
    headers = reference_headers(image)
    options = {"preset": presets.get("lung_ct"), "job": JOB, "derivation": DERIVATION}
    kept = options | {"headers": headers, "patient": "keep"}
    write_series(image, folder / "series", **kept)
    labels = {"file": "labels.nrrd"} | entry
    key = next(iter(entry))
    with pytest.raises(ValueError, match=rf"anatomy\.labels\[0\]\.{key}\.1: holds a name"):
        prepared(folder, anatomy={"image": "series", "labels": labels})
    prepared(folder, anatomy={"image": "series", "labels": labels}, output={"patient": "keep"})


def test_one_slice_of_a_volume_is_the_whole_reference_with_the_labels_that_reach_it(folder):
    raw = {
        "preset": "lung_ct",
        "anatomy": {"image": "ct.nrrd", "slice": 4, "labels": "labels.nrrd"},
    }
    found = prepare(parse(raw, folder), preset=presets.get("lung_ct"), listener=ignore)
    grid = found.reference.image
    assert grid.GetSize() == (44, 40, 1)
    assert grid.GetOrigin() == pytest.approx((-40.0, -30.0, 12.0 + 3 * 3.0))
    assert [label.value for label in found.labels] == [1]
    assert array(found.labels[0].mask).sum() == 30
    assert not [note for note in found.warnings if "lost" in note]
    assert found.slices == [0]


def test_a_slice_that_is_not_there_is_refused(folder):
    raw = parse({"preset": "lung_ct", "anatomy": {"image": "ct.nrrd", "slice": 9}}, folder)
    with pytest.raises(ValueError, match=r"anatomy.slice: expected 1 to 8 of .*ct.nrrd, got 9"):
        prepare(raw, preset=presets.get("lung_ct"), listener=ignore)


def test_a_slice_of_a_phantom_is_refused(folder):
    with pytest.raises(ValueError, match=r"anatomy.slice: a phantom is drawn at phantom.level_mm"):
        parse({"preset": "lung_ct", "anatomy": {"phantom": {}, "slice": 1}}, folder)
